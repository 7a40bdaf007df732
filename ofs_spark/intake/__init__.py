"""Own data as an object root: what an import, and the demo, write in the platform's place."""
