#!/bin/sh
# own-metrics-in-readme.sh [--update] - fails when the README's own metrics are not the program's.
#
# The README's table, between the two own-metrics markers, is made from the rows of
# src/app/telemetry.def, in their order; --update writes it anew. No other line of the README may name
# an own metric that does not exist ("statsbridge_relay_*" names every metric that starts like this).
rows=src/app/telemetry.def readme=README.md prefix=statsbridge
start='<!-- own-metrics:start -->' end='<!-- own-metrics:end -->'
have=$(mktemp) want=$(mktemp)
trap 'rm -f "$have" "$want"' EXIT

say() {
	echo "$*" >&2
	failed=1
}

between_markers() {
	awk -v start="$start" -v end="$end" '$0 == end { inside = 0 } inside; $0 == start { inside = 1 }' "$1"
}

# The table, as telemetry_markdown() in src/app/telemetry.c writes it.
print_table() {
	printf '| metric | type | meaning |\n|---|---|---|\n'
	sed -nE -e 's/^OWN\([A-Z0-9_]+, "/&'"$prefix"'_/' \
		-e 's/^(OWN|NAMED|PROCESS)\([A-Z0-9_]+, "([^"]+)", (COUNTER|GAUGE), "(.*)"\)$/| `\2` | \L\3\E | \4 |/' \
		-e '/^\| /{ s/\\(["\\])/\1/g; p; }' $rows
}

failed=
for marker in "$start" "$end"; do
	test "$(grep -cxF -e "$marker" $readme)" = 1 || say "$readme: needs one line $marker"
done
print_table >"$want"
# A row that is written in another way must not be lost.
listed=$(grep -c '^| `' "$want")
test "$listed" -gt 0 && test "$listed" = "$(grep -cE '^[^ *]*(OWN|NAMED|PROCESS)\(' $rows)" ||
	say "$rows: $listed rows could be read, and there are others"
test -z "$failed" || exit 1

if test "$1" = --update; then
	awk -v start="$start" -v end="$end" -v table="$want" '
		$0 == end { inside = 0 }
		!inside
		$0 == start { inside = 1; while ((getline line < table) > 0) print line }' $readme >"$have" &&
		cat "$have" >$readme
fi

between_markers $readme >"$have"
diff -u "$have" "$want" >&2 || say "$readme: the table of own metrics is not what $rows says"

for name in $(grep -oE "(^|[^a-z0-9_])${prefix}_[a-z0-9_]*" $readme | grep -oE "${prefix}_.*" | sort -u); do
	case "$name" in
	*_) grep -qF -e "| \`$name" "$want" ;;
	*) grep -qF -e "| \`$name\` |" "$want" ;;
	esac || say "$readme: names $name, which does not exist"
done
test -z "$failed"
