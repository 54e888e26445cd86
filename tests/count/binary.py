"""Reads what cargo says in JSON and prints the path of the benchmark that it built."""

import json
import sys

name = sys.argv[1]
for line in sys.stdin:
    said = json.loads(line)
    if said.get("executable") and said["target"]["name"] == name:
        print(said["executable"])
