"""The KL of each latent, as bars."""

from collections.abc import Sequence

from sweeps.report.charts.values import short
from sweeps.report.vega import Spec

LEAST_KL_NATS = 0.1


def kl(kl_nats: Sequence[float], *, n_active: int) -> Spec:
    """Return the KL of each latent (nats), sorted; the first `n_active` are marked as active."""
    order = sorted(range(len(kl_nats)), key=lambda j: -kl_nats[j])
    return {
        "height": 100,
        "datasets": {
            "latents": [
                {"latent": f"z{j}", "kl": short(kl_nats[j]), "active": rank < n_active}
                for rank, j in enumerate(order)
            ]
        },
        "data": {"name": "latents"},
        "layer": [
            {
                "mark": {"type": "bar", "tooltip": True},
                "encoding": {
                    "x": {
                        "field": "latent",
                        "type": "nominal",
                        "sort": None,
                        "title": None,
                        "axis": {"labelAngle": 0, "labelOverlap": "greedy"},
                    },
                    "y": {
                        "field": "kl",
                        "type": "quantitative",
                        "title": None,
                        "axis": {"tickCount": 3},
                    },
                    "color": {
                        "condition": {"test": "datum.active", "value": "var(--line-0)"},
                        "value": "var(--edge)",
                    },
                },
            },
            # of a latent that carries nothing, no bar is to be seen: the axis reaches so far
            {"mark": {"type": "rule", "opacity": 0}, "encoding": {"y": {"datum": LEAST_KL_NATS}}},
        ],
    }
