"""The search itself: operators, algorithms behind ask/tell, and the loop that records.

`codesign.search` runs it.
"""
