"""The metric engine: image metrics on plain files, in one pass, without Django.

`registry` and `protocol` are light and import no torch; `onepass` computes blocks of features, `scores` merges blocks
into scores, `weights` fetches and checks model weights. `python -m metrics.engine score …` does all of it for two
folders.
"""
