"""Pictures of a trained model: reconstructions, traversals, the factors its latents follow."""
