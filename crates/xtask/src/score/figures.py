"""Runs `outrigger detect` over labelled data with the scorer that comes with it, and prints all figures as JSON.

The scorer's own functions judge; this file only feeds them, in parallel, and resamples streams for an interval.
"""
import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
from multiprocessing import Pool

import numpy as np


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("data", "scratch", "detect"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("jobs", "streams", "seed-from"):
        parser.add_argument(f"--{name}", required=True, type=int)
    return parser.parse_args()


ARGS = arguments()
sys.path.insert(0, ARGS.data)
import score  # noqa: E402  (the scorer of the folder)


def say(text):
    print(text, file=sys.stderr, flush=True)


def generate(script, flag, seeds, root):
    """The streams of these seeds below `root`, made once."""
    stamp = os.path.join(root, "seeds.json")
    if os.path.exists(stamp) and json.load(open(stamp)) == seeds:
        return root
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(os.path.join(root, "data"))
    if script == "gen_replay.py":
        shutil.copytree(os.path.join(ARGS.data, "data", "replay-src"), os.path.join(root, "data", "replay-src"))
    wanted = os.path.join(root, "wanted.json")
    json.dump(seeds, open(wanted, "w"))
    command = [sys.executable, os.path.join(ARGS.data, script), flag, wanted, "--root", root]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.rename(wanted, stamp)
    return root


def seeds(name):
    return json.load(open(os.path.join(ARGS.data, name)))


def held_out():
    """Streams of seeds in a row, each with profile, traffic and bucket layout of the kept ones in turn."""
    mix = seeds("seeds_dev.json")["streams"]
    streams = [dict(mix[i % len(mix)], seed=ARGS.seed_from + i) for i in range(ARGS.streams)]
    # Neighbours go to different parts, so that the parts take equally long.
    parts = [{"streams": streams[k :: ARGS.jobs]} for k in range(ARGS.jobs)]
    return [part for part in parts if part["streams"]]


def generate_one(job):
    return generate(*job)


def command(name):
    return [ARGS.detect, "detect", name]


def judge(job):
    """One file: its times, labels and alarms."""
    root, name, detector, relative, check = job
    folder, manifest = score.load_set(root, name)
    source, result = os.path.join(folder, relative), os.path.join(ARGS.scratch, "out", name, relative)
    score.run_one(command(detector), source, result)
    causal = not check or score.causal_check(command(detector), source, result)
    times = score.read_times(source)
    _, alert = score.read_result(result)
    if alert is None or len(alert) != len(times):
        raise SystemExit(f"{relative}: {len(times)} rows in, not as many verdicts out")
    return relative, times, manifest["files"][relative], alert, causal


def files(pool, roots, name, detector):
    jobs = []
    for root in roots:
        listed = sorted(score.load_set(root, name)[1]["files"])
        jobs += [(root, name, detector, relative, index < 3) for index, relative in enumerate(listed)]
    say(f"{name}: {len(jobs)} files")
    judged = pool.map(judge, jobs, chunksize=1)
    manifest = score.load_set(roots[0], name)[1]
    return [one[:4] for one in judged], manifest, all(one[4] for one in judged)


def one_stream(file, manifest):
    """What resampling needs of one stream: the delays of its incidents (None: missed), and what was false."""
    _, times, meta, alert = file
    step = float(np.median(np.diff(times)))
    warm = times[0] + manifest["warmup_s"]
    found, false, days, outside = score.event_file(
        times, alert, meta.get("windows", []), meta.get("ignore", []), warm, manifest["grace_s"], manifest["merge_s"]
    )
    delays = [delay for _, delay in found]
    return {"delays": delays, "steps": [step] * len(delays), "false": false, "days": days, "outside": outside}


def total(streams):
    delays = [delay for stream in streams for delay in stream["delays"]]
    hits = [delay for delay in delays if delay is not None]
    steps = [step for stream in streams for step in stream["steps"]]
    false = sum(stream["false"] for stream in streams)
    days = max(sum(stream["days"] for stream in streams), 1e-9)
    intervals = [delay / step for delay, step in zip(delays, steps) if delay is not None]
    return {
        "recall": len(hits) / max(1, len(delays)),
        "precision": len(hits) / max(1, len(hits) + false),
        "false_per_day": false / days,
        "delay_median": float(np.median(hits)) if hits else None,
        "delay_median_intervals": float(np.median(intervals)) if intervals else None,
        "delay_p90": float(np.percentile(hits, 90)) if hits else None,
        "hours_outside_per_day": sum(stream["outside"] for stream in streams) / 3600 / days,
    }


def interval(streams, rounds=2000):
    """The middle 90 % of what resampled streams give, figure by figure."""
    random = np.random.default_rng(1)
    drawn = [total([streams[i] for i in random.integers(0, len(streams), len(streams))]) for _ in range(rounds)]
    values = {key: [one[key] for one in drawn if one[key] is not None] for key in drawn[0]}
    return {key: [float(np.percentile(value, q)) for q in (5, 95)] if value else None for key, value in values.items()}


# The evidence, in nats, at which the most powerful test is wrong once in e^12 intervals: at ten seconds each once in 19 days,
# about what the goal for false alarms allows.
NATS = 12.0


def within_reach(judged):
    """What one would find who knew exactly how latency spreads before and during each incident: those whose label holds
    that much evidence, as soon as it does if it comes evenly. By kind, and of all."""
    soonest = {}
    for _, _, meta, _ in judged:
        for begin, end, kind, info, *_ in meta.get("windows", []):
            delay = (end - begin) * NATS / info if info >= NATS else None
            for group in (kind, "all"):
                soonest.setdefault(group, []).append(delay)
    def summary(delays):
        hits = [delay for delay in delays if delay is not None]
        return {
            "recall": len(hits) / len(delays),
            "delay_median": float(np.median(hits)) if hits else None,
            "delay_p90": float(np.percentile(hits, 90)) if hits else None,
        }
    return {group: summary(delays) for group, delays in soonest.items()}


def events(pool, roots, name, detector, resample=False):
    judged, manifest, causal = files(pool, roots, name, detector)
    report, _ = score.report_event(judged, manifest)
    answer = {"report": report, "causal": causal, "files": len(judged)}
    if "warmup_s" in manifest:
        streams = [one_stream(file, manifest) for file in judged]
        answer["total"] = total(streams)
        answer["reach"] = within_reach(judged)
        if resample:
            answer["interval"] = interval(streams)
    return answer


def nab(pool):
    judged, _, causal = files(pool, [ARGS.data], "nab", "point")
    report = score.evaluate(ARGS.data, "nab", os.path.join(ARGS.scratch, "out", "nab"))
    best = {profile: value["score_at_best_threshold"] for profile, value in report["nab"].items() if isinstance(value, dict)}
    return {"shipped": report["nab_native_alerts"], "best": best, "causal": causal, "files": len(judged)}


def rank(case):
    folder = os.path.join(ARGS.data, "data", "petshop")
    truth = json.load(open(case))
    traffic = "high_traffic" if os.path.basename(case).startswith("high") else "low_traffic"
    target = truth["target"]
    paths = [f"{folder}/{traffic}/noissue.csv", case[: -len("json")] + "csv", f"{folder}/{traffic}/graph.csv"]
    call = command("explain") + paths + [target["node"], target["metric"]]
    named = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split("\n")
    cause = truth["root_cause"]["node"]
    return target["metric"], traffic, named.index(cause) + 1 if cause in named else 999


def petshop(pool):
    cases = pool.map(rank, sorted(glob.glob(os.path.join(ARGS.data, "data", "petshop", "cases", "*.json"))))
    groups = {}
    for metric, traffic, place in cases:
        for group in ("all", metric, f"{metric}, {traffic.replace('_', ' ')}"):
            groups.setdefault(group, []).append(place)
    def share(places, within):
        return sum(place <= within for place in places) / len(places)
    return {
        group: {
            "cases": len(places),
            "top1": share(places, 1),
            "top3": share(places, 3),
            # The lowest share of first places that is left when any one case is taken away.
            "top1_without_one": min(share(places[:i] + places[i + 1 :], 1) for i in range(len(places))) if len(places) > 1 else None,
        }
        for group, places in groups.items()
    }


def offers(name):
    return subprocess.run(command(name) + ["--help"], capture_output=True).returncode == 0


def main():
    answer = {}
    with Pool(ARGS.jobs) as pool:
        answer["petshop"] = petshop(pool)
        if offers("point"):
            answer["ms-latency"] = events(pool, [ARGS.data], "ms-latency", "point")
            answer["nab"] = nab(pool)
        say("generating the kept streams")
        kept = [
            ("gen.py", "--seeds", seeds("seeds_dev.json"), os.path.join(ARGS.scratch, "kept")),
            ("gen_replay.py", "--seed-file", seeds("replay_seeds.json"), os.path.join(ARGS.scratch, "replay")),
        ]
        synth, replay = pool.map(generate_one, kept, chunksize=1)
        answer["synth"] = events(pool, [synth], "synth", "hist")
        answer["replay"] = events(pool, [replay], "replay", "hist")
        if ARGS.streams:
            say(f"generating {ARGS.streams} held-out streams")
            jobs = [
                ("gen.py", "--seeds", part, os.path.join(ARGS.scratch, f"held-out-{index}"))
                for index, part in enumerate(held_out())
            ]
            answer["held_out"] = events(pool, pool.map(generate_one, jobs, chunksize=1), "synth", "hist", resample=True)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
