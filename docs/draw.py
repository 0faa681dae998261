"""Keeps what the README shows of a finished study: `python docs/draw.py runs/quick docs/quick`.

Copies the study's curve and trials into the folder, draws the charts of the README's scores, takes
the traversal of the best cell's best seed, and prints two tables: the best β of each latent size,
and every cell; both are means over seeds with their 95 % intervals.
"""
