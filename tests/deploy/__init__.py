"""The files that operators deploy with, tried with the tools that read them."""
