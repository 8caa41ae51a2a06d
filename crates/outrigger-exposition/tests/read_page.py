"""Reads a page with the parsers of prometheus_client and prints what they saw, in hexadecimal, one thing a line.

    family <name> <type> <help>
    sample <name> <value as a big-endian double> [<label name>=<label value>]...

Labels are sorted.
"""

import struct
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text


def encode(string):
    return string.encode("utf-8").hex() or "-"


page = sys.stdin.buffer.read().decode("utf-8")
parser = {"Text": text, "OpenMetrics": openmetrics}[sys.argv[1]]
for family in parser(page):
    print("family", encode(family.name), family.type, encode(family.documentation))
    for sample in family.samples:
        labels = sorted(f"{encode(name)}={encode(value)}" for name, value in sample.labels.items())
        print("sample", encode(sample.name), struct.pack(">d", sample.value).hex(), *labels)
