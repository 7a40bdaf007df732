"""OFS from Python: what `import ofs_spark as ofs` offers. Names and meanings here are fixed, as those of the commands are."""
