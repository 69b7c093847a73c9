#!/bin/sh
# options-in-readme.sh [PROGRAM [--update]] - fails when the README's flags are not the program's.
#
# The README's table, between the two flags markers, is what PROGRAM --help-markdown prints; --update
# writes it anew. Every flag of src/app/options.def must be in it, so that a stale program is noticed,
# and no other line of the README may name a flag that does not exist ("--statsd.event-*" names
# every flag that starts like this).
program=${1:-build/statsbridge} readme=README.md
start='<!-- flags:start -->' end='<!-- flags:end -->'
have=$(mktemp) want=$(mktemp)
trap 'rm -f "$have" "$want"' EXIT

say() {
	echo "$*" >&2
	failed=1
}

between_markers() {
	awk -v start="$start" -v end="$end" '$0 == end { inside = 0 } inside; $0 == start { inside = 1 }' "$1"
}

failed=
for marker in "$start" "$end"; do
	test "$(grep -cxF -e "$marker" $readme)" = 1 || say "$readme: needs one line $marker"
done
"$program" --help-markdown >"$want" || say "$program --help-markdown: failed"
test -z "$failed" || exit 1

if test "$2" = --update; then
	awk -v start="$start" -v end="$end" -v table="$want" '
		$0 == end { inside = 0 }
		!inside
		$0 == start { inside = 1; while ((getline line < table) > 0) print line }' $readme >"$have" &&
		cat "$have" >$readme
fi

between_markers $readme >"$have"
diff -u "$have" "$want" >&2 || say "$readme: the table of flags is not what $program --help-markdown prints"

names=$(sed -nE 's/^(FLAG|ACTION)\("([^"]+)".*/\2/p' src/app/options.def)
test -n "$names" || say "src/app/options.def: no flag found"
listed=$("$program" --completion-bash)
hidden=$(sed -nE 's/^ACTION\("([^"]+)".*HIDDEN.*/\1/p' src/app/options.def)
for name in $names; do
	echo "$hidden" | grep -qxF -e "$name" || grep -qF -e "| \`--$name\` |" $readme ||
		say "$readme: --$name of src/app/options.def is missing from the table"
done

for flag in $(grep -oE -e '--(no-)?(statsd|web|sd|remote-write|log|debug)\.[a-z.-]*' $readme | sort -u); do
	case "$flag" in
	*- | *.) echo "$listed" | grep -qF -e "$flag" ;;
	*) echo "$listed" | grep -qxF -e "$flag" ;;
	esac || say "$readme: names $flag, which does not exist"
done
test -z "$failed"
