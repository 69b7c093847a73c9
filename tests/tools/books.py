"""The books of a bridge: every line and every sample is accounted for, each once."""
import collections

LINES = ('lines_empty_total', 'lines_refused_total', 'lines_event_total', 'lines_check_total', 'lines_with_samples_total')
SAMPLES = ('samples_applied_total', 'samples_dropped_total')


def unaccounted(series, prefix):
    """{series: value} -> (lines, samples) that have come and are not accounted for; both 0 once traffic rests."""
    own = collections.Counter()
    for name, value in series.items():
        if name.startswith(prefix):
            own[name[len(prefix):].split('{')[0]] += float(value)
    return (own['lines_total'] - sum(own[name] for name in LINES),
            own['samples_total'] - sum(own[name] for name in SAMPLES))
