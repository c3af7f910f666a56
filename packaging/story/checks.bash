# Sourced by the parts of the story.
set -euo pipefail
export LC_ALL=C.UTF-8
user=/home/hana/000003__JP_orca_user1/000003__JP_orca_user1

ok() { echo "ok: $1"; }

fail() {
    echo "FAILED: $1"
    return 1
}

check() {
    local what=$1
    shift
    "$@" || fail "$what"
    ok "$what"
}

# refused WHAT TEXT COMMAND... - it must fail and say so.
refused() {
    local what=$1 text=$2
    shift 2
    if "$@" >/run/out 2>&1; then fail "$what: it was done"; fi
    grep -q -- "$text" /run/out || { cat /run/out; fail "$what"; }
    ok "$what"
}

says() {
    local what=$1 text=$2
    shift 2
    "$@" >/run/out 2>&1 || true
    grep -q -- "$text" /run/out || { cat /run/out; fail "$what"; }
    ok "$what"
}

# expect WHAT STATUS ARGUMENTS... - what a client of the LAN gets; 000 is no answer.
expect() {
    local what=$1 status=$2 got
    shift 2
    got=$(ip netns exec lan curl -s -o /run/body -w '%{http_code}' --max-time 20 \
        --cacert /opt/jma/weborca/conf/ca.crt "$@" || true)
    [ "$got" = "$status" ] || fail "$what: $got instead of $status"
    ok "$what: $status"
}

with_certificate() { expect "$1" 200 --cert "$user.crt" --key "$user.pem" https://192.0.2.1:8000/; }

await() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "waited for $what in vain"
        sleep 0.1
    done
}

# A client machine of the LAN.
lan() {
    ip netns add lan
    ip link add lan0 type veth peer name eth0 netns lan
    ip addr add 192.0.2.1/24 dev lan0
    ip link set lan0 up
    ip -n lan addr add 192.0.2.2/24 dev eth0
    ip -n lan link set eth0 up
}

# under_load COMMAND... - four clients ask all the time while it runs; none may fail.
under_load() {
    local n
    rm -f /run/load-*
    touch /run/load-goes-on
    for n in 1 2 3 4; do
        while [ -e /run/load-goes-on ]; do
            ip netns exec lan curl -s -o /run/load-body-$n -w '%{http_code}\n' --max-time 60 \
                --cacert /opt/jma/weborca/conf/ca.crt --cert "$user.crt" --key "$user.pem" \
                https://192.0.2.1:8000/ >>/run/load-$n || true
        done &
    done
    await "load" eval '[ "$(cat /run/load-[1-4] 2>/run/out | grep -c 200)" -gt 8 ]'
    "$@"
    local before
    before=$(cat /run/load-[1-4] | wc -l)
    await "load afterwards" eval "[ \$(cat /run/load-[1-4] | wc -l) -gt $((before + 8)) ]"
    rm /run/load-goes-on
    wait
    if grep -hv '^200$' /run/load-[1-4]; then fail "under load: $*"; fi
    ok "under load: $* ($(cat /run/load-[1-4] | wc -l) requests, none failed)"
}
