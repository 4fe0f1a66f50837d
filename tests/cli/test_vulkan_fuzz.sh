#!/usr/bin/env bash
# The campaign of the Vulkan backend: begins, goes on where it ended, does again what failed, and counts modules. A command
# that does not count them is refused.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
state=$scratch/state
done_pieces() { wc -l <"$state/done"; }
if ! SN_SPIRV_MODULES=$scratch/probe "$SINTER" conformance --target vulkan --isa shared=16384 --part programs -n 1 >/dev/null || [ ! -s "$scratch/probe" ]; then
  expect 2 bash "$TREE/tests/fuzz/vulkan.sh" "$SINTER" "$state" 1
  prints "configure with -DSN_INSPECT=ON"
  exit 0
fi
expect 0 bash "$TREE/tests/fuzz/vulkan.sh" "$SINTER" "$state" 1
prints "distinct modules verified, "
first=$(done_pieces)
[ "$first" -ge 1 ] || die "nothing was done"
grep -q '^made for described devices *[1-9][0-9]* run, 0 refused, 0 failed' "$state/summary.txt" || die "$(cat "$state/summary.txt")"
expect 0 bash "$TREE/tests/fuzz/vulkan.sh" "$SINTER" "$state" 1
[ "$(done_pieces)" -gt "$first" ] || die "it did not go on: $(cat "$state/done")"
not_twice() { [ "$(cut -d' ' -f1-5 "$state/done" | sort -u | wc -l)" = "$(done_pieces)" ] || die "done twice: $(cat "$state/done")"; }
not_twice
# two pieces at a time; one that is ended is not done, and the rest is kept
second=$(done_pieces)
bash "$TREE/tests/fuzz/vulkan.sh" "$SINTER" "$state" 0 2 >/dev/null 2>&1 &
campaign=$!
until [ "$(done_pieces)" -ge $((second + 2)) ]; do
  kill -0 "$campaign" || die "the campaign is gone: $(cat "$state/done")"
  sleep 0.1
done
rm -f "$state/summary.txt"
kill "$campaign"
wait "$campaign"
[ $? = 130 ] || die "a campaign that is ended does not say so"
[ -s "$state/summary.txt" ] || die "no summary of a campaign that was ended"
not_twice
for one in /proc/[0-9]*/environ; do # whatever it ran wrote to its list of modules
  ! grep -q -z -x "SN_SPIRV_MODULES=$state/modules" "$one" 2>/dev/null || die "it is still running: $(tr '\0' ' ' <"${one%environ}cmdline")"
done
# a command that dies has failed, one that is ended from outside ends the campaign
cat >"$scratch/dies" <<TEXT
#!/bin/sh
case " \$* " in *" --seed "*) kill -\$HOW \$\$ ;; esac
exec "$SINTER" "\$@"
TEXT
chmod +x "$scratch/dies"
HOW=FPE expect 1 bash "$TREE/tests/fuzz/vulkan.sh" "$scratch/dies" "$scratch/dead" 1
grep -q '^\([1-9][0-9]*\) of [0-9]* pieces of work are done; \1 failed' "$scratch/dead/summary.txt" || die "$(cat "$scratch/dead/summary.txt")"
HOW=KILL expect 130 bash "$TREE/tests/fuzz/vulkan.sh" "$scratch/dies" "$scratch/dead" 1
grep -q '^0 of [0-9]* pieces of work are done; 0 failed' "$scratch/dead/summary.txt" || die "$(cat "$scratch/dead/summary.txt")"
# a piece that failed is tried again
sed -i '1s/^\(\([^ ]* \)\{7\}\)0/\11/' "$state/done"
expect 0 bash "$TREE/tests/fuzz/vulkan.sh" "$SINTER" "$state" 1
grep -q -E '^([^ ]+ ){7}[1-9]' "$state/done" && die "the failure stays: $(cat "$state/done")"
exit 0
