"""Counts the instructions that the core spends on each delivered message.

    count.py BINARY [SCENARIO...]            prints a table
    count.py BINARY --check budgets.json     fails if a scenario costs more than its budget
    count.py BINARY --write budgets.json     writes what it costs now

The counts hardly depend on the machine or on what else runs on it, so a small change shows.
"""

import argparse
import json
import re
import subprocess
import sys

SHORT, LONG = 50, 150
# Of a budget: what another compiler or allocator may change.
SLACK = 1.03


def run(binary, scenario, rounds):
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         binary, scenario, str(rounds)],
        capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not collected:
        sys.exit(f"{scenario}: {done.stderr}")
    return int(collected.group(1)), int(done.stdout)


def cost(binary, scenario):
    """The difference of two runs, so that what comes before the first round does not count."""
    (few, delivered_few), (many, delivered_many) = (
        run(binary, scenario, rounds) for rounds in (SHORT, LONG))
    return (many - few) / (delivered_many - delivered_few)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--check")
    parser.add_argument("--write")
    options = parser.parse_args()
    listed = subprocess.run([options.binary], capture_output=True, text=True, check=True)
    scenarios = options.scenarios or listed.stdout.split()
    costs = {name: round(cost(options.binary, name)) for name in scenarios}
    budgets = {}
    if options.check:
        with open(options.check, encoding="utf-8") as file:
            budgets = json.load(file)
    for name, instructions in costs.items():
        budget = budgets.get(name)
        print(f"{name:24} {instructions:7}", "" if budget is None else f"of {budget}")
    if options.write:
        with open(options.write, "w", encoding="utf-8") as file:
            json.dump(costs, file, indent=2)
            file.write("\n")
    over = [name for name, budget in budgets.items() if costs[name] > budget * SLACK]
    if options.check and set(costs) != set(budgets):
        sys.exit("the scenarios are not those of the budgets")
    if over:
        sys.exit("over budget: " + ", ".join(over))


main()
