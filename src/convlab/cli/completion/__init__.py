"""TAB completion: a script for each shell, which asks `convlab completion for LINE` what may come next.

Own, since what there is completes argparse parsers: it would have to import each verb to get at them, which
takes up to a second, and would know nothing of Hydra's words. Here a verb's docstring is what is read.
"""
