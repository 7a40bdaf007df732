"""The commands of `ofs`, by what they are about. `cli.py` puts them together; each loads what it needs when it runs."""
