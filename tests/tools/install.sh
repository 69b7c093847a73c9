#!/bin/sh
# install.sh GROUP... - sees to it that this machine (Debian 12 or later) has what a group needs:
#
#	build	the compiler and libraries of the server
#	check	what the tests need on top: tools, and the clients of other projects (in build/)
#	docker	what the test of the image needs on top of that: an engine, which is not started
#
# Installs only what is missing, as root or with sudo; a second run finds nothing to do.
set -eu
cd "$(dirname "$0")/../.."

BUILD_PACKAGES="gcc libc6-dev make pkgconf libev-dev libpcre2-dev libyaml-dev libmicrohttpd-dev libgnutls28-dev libcrypt-dev
	libxxhash-dev libjansson-dev zlib1g-dev libcurl4-gnutls-dev libsnappy-dev"
# Used where the architecture has it.
BUILD_OPTIONAL="libisal-dev"
CHECK_PACKAGES="libcmocka-dev g++ ca-certificates"
# Tools may come from elsewhere: command and the package that has it.
CHECK_COMMANDS="clang:clang python3:python3 node:nodejs npm:npm go:golang-go prometheus:prometheus
	promtool:prometheus victoria-metrics:victoria-metrics protoc:protobuf-compiler
	dot:graphviz curl:curl openssl:openssl nc:netcat-openbsd"
# The engine must be Debian's, and is not taken from elsewhere.
DOCKER_PACKAGES="docker.io docker-compose debootstrap"

die() {
	echo "install.sh: $*" >&2
	exit 1
}

# quietly COMMAND... - shows what a command said only when it fails
quietly() {
	log=$(mktemp)
	if "$@" >"$log" 2>&1; then
		rm -f "$log"
		return
	fi
	cat "$log" >&2
	rm -f "$log"
	die "failed: $*"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

is_installed() {
	dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

missing_packages() {
	for package in "$@"; do
		is_installed "$package" || echo "$package"
	done
}

missing_commands() {
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
	done
}

# The run time of clang's sanitizers and fuzzer is looked for as a file: the package's name has a version.
missing_clang_runtime() {
	ls "$(clang -print-resource-dir)"/lib/*/libclang_rt.fuzzer* >/dev/null 2>&1 || echo libclang-rt-dev
}

missing_venv() {
	python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

# Nothing that is installed here may start a service: the tests run what they need.
forbid_services() {
	[ -e /usr/sbin/policy-rc.d ] && return
	trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
	as_root chmod 755 /usr/sbin/policy-rc.d
}

allow_services() {
	as_root rm -f /usr/sbin/policy-rc.d
	trap - EXIT INT TERM
}

apt() {
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"
}

disable() {
	as_root systemctl disable --now "$@" >/dev/null 2>&1 || true
}

# install_packages PACKAGE... - each must exist
install_packages() {
	[ $# -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "these packages are missing and can only be installed as root or with sudo: $*"
	command -v apt-get >/dev/null || die "no apt-get here; install by hand: $*"
	echo "installing: $*"
	forbid_services
	apt install --no-install-recommends -y "$@"
	allow_services
	# Not at the next boot either. Without systemd there is nothing to disable.
	for package in "$@"; do
		case $package in
		prometheus | victoria-metrics) disable "$package.service" ;;
		docker.io) disable docker.service docker.socket containerd.service ;;
		esac
	done
}

refreshed=
refresh_lists() {
	[ -z "$refreshed" ] || return 0
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null || return 0
	apt update
	refreshed=yes
}

has_candidate() {
	apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

# want PACKAGE... - installs them; duplicates are fine
want() {
	[ $# -gt 0 ] || return 0
	refresh_lists
	install_packages $(printf '%s\n' "$@" | sort -u)
}

install_build() {
	want $(missing_packages $BUILD_PACKAGES)
	for package in $(missing_packages $BUILD_OPTIONAL); do
		if has_candidate "$package"; then
			want "$package"
		fi
	done
}

# run_once STAMP COMMAND INPUT... - runs a shell function unless it has succeeded with these inputs
run_once() {
	stamp=$1 command=$2
	shift 2
	now=$(cat "$@" | cksum; echo "$versions")
	[ "$(cat "$stamp" 2>/dev/null)" != "$now" ] || return 0
	echo "preparing: ${command#prepare_}"
	rm -f "$stamp"
	"$command"
	echo "$now" >"$stamp"
}

prepare_python_clients() {
	rm -rf build/venv
	quietly python3 -m venv build/venv
	quietly build/venv/bin/pip install --disable-pip-version-check -r tests/clients/python/requirements.txt
}

# A client needs a native module: built against the headers that came with node, where there are any.
prepare_node_clients() {
	mkdir -p build/clients/node
	cp tests/clients/node/package.json tests/clients/node/package-lock.json build/clients/node/
	prefix=$(node -p 'require("path").dirname(require("path").dirname(process.execPath))')
	if [ -e "$prefix/include/node/node.h" ]; then
		export npm_config_nodedir="$prefix"
	fi
	(cd build/clients/node && quietly npm ci --no-audit --no-fund --foreground-scripts)
	[ -n "$(find build/clients/node/node_modules -name unix_dgram.node)" ] ||
		die "npm did not build the native module unix-dgram"
}

prepare_go_clients() {
	mkdir -p build/agents
	(cd tests && quietly go build -buildvcs=false -o ../build/clients/sender ./clients/go &&
		quietly go build -buildvcs=false -o ../build/agents/ ./agents/agentcube ./agents/conduit)
}

# check_version NAME VERSION LEAST - whole numbers
check_version() {
	[ "${2:-0}" -ge "$3" ] || die "$1 is too old: $3 or newer is needed, this is $2"
}

install_check() {
	want $(missing_packages $CHECK_PACKAGES) $(missing_commands $CHECK_COMMANDS)
	still=$(missing_commands $CHECK_COMMANDS)
	[ -z "$still" ] || die "installed, but not to be found in PATH, from: $still"
	want $(missing_clang_runtime) $(missing_venv)
	node_version=$(node -p 'process.versions.node.split(".")[0]')
	go_version=$(go env GOVERSION | sed 's/go1\.\([0-9]*\).*/\1/')
	check_version node "$node_version" 18
	check_version "go 1." "$go_version" 19
	mkdir -p build/clients
	versions="python $(python3 -c 'import sys; print(sys.version)')"
	run_once build/venv.stamp prepare_python_clients tests/clients/python/requirements.txt
	versions="node $(node -p 'process.versions.modules')"
	run_once build/clients/node.stamp prepare_node_clients tests/clients/node/package-lock.json
	versions="go $go_version"
	run_once build/clients/go.stamp prepare_go_clients tests/go.* $(find tests/clients/go tests/agents -name '*.go')
}

install_docker() {
	want $(missing_packages $DOCKER_PACKAGES)
}

[ $# -gt 0 ] || die "usage: install.sh build|check|docker..."
for group in "$@"; do
	case $group in
	build) install_build ;;
	check) install_check ;;
	docker) install_docker ;;
	*) die "no such group: $group" ;;
	esac
done
