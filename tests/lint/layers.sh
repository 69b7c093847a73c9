#!/bin/sh
# layers.sh FOLDER "ALLOWED..." - fails when src/FOLDER includes a folder that it may not use.
dir=$1 allowed=" $1 $2 "
bad=$(grep -Hno '#include "[a-z_]*/' src/"$dir"/*.[ch] 2>/dev/null | while IFS='"' read -r where inc; do
	case "$allowed" in *" ${inc%/} "*) ;; *) echo "${where%:#*}: $dir may not use ${inc%/}" ;; esac
done)
test -z "$bad" || { echo "$bad" >&2; exit 1; }
