"""Linear explanations: a unit as a short weighted sum of concepts.

The road of an explanation: `presence` (how much each concept is in each image), `presence_filter`
(which concepts take part), `moments` (all that later steps need to know of the images),
`elastic_net` (the ranking problem), `exact_solver` and others (its `solvers`), `greedy` or
`least_squares` (which concepts stay, and their weights), `explaining` (the steps in order),
`explainers`, `forward` and `prudent` (the plugins).

The explainers share moments and rankings through the layer's memory. A change of numbers up to the
ranking therefore raises the `version` of all of them.
"""
