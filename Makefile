# statsbridge
#
# make run      installs what is missing, builds, serves statsd on 9125 and metrics on 9102
# make check    installs what is missing, builds, and passes every test but the next one
# make docker-test  builds the image and starts the stack of docker/, in a Docker engine of its own
#
# make              the server, build/statsbridge
# make unit         unit tests; U=statsd for one folder only
# make replay       every fuzz target over its corpus
# make lint         the architecture (USES_* below), README against program, and other rules
# make conformance  recorded answers of statsd_exporter, with every scanner; CASES=DIR for others
# make e2e          the real binary with real clients and a real Prometheus; E=-k expression
# make fuzz         every fuzz target for SECONDS=60 each; T=statsd/line for one
# make books        accounts under load: RATE=200000 lines/s, SECONDS=30 per transport; the hardest
#                   is RATE=80% SECONDS=60 SERIES=1000000 SCRAPE_EVERY=5: of what it can take, while
#                   a million more series are scraped every five seconds; HOSTILE=1000 has as many HTTP
#                   clients do harm meanwhile, and SECURE=1 has them meet TLS and passwords
# make bench        how fast it is, against targets; T=T1,T5 for some rows, PEER="server flags" for
#                   another server beside it
#
# SAN=address,undefined or SAN=thread with any of them: a build folder of its own with sanitizers
# WERROR=1 makes warnings errors

comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
CC    := $(if $(filter default,$(origin CC)),gcc,$(CC))
# Of the tunings that any x86-64 runs, the one that clears small structures without `rep stos`, which takes
# longer to begin than they do.
TUNE  := $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),-mtune=znver3)
CFLAGS ?= $(if $(SAN),-O1,-O2) -g
VERSION := 0.1.0

FLAGS = -std=gnu11 -D_GNU_SOURCE -DSTATSBRIDGE_VERSION='"$(VERSION)"' -Isrc -MMD -MP -pthread \
	-Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wwrite-strings -Wformat=2 -Wno-missing-field-initializers $(if $(WERROR),-Werror) \
	$(if $(filter -march=% -mtune=%,$(CFLAGS)),,$(TUNE)) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(CFLAGS)

# ThreadSanitizer wants the address space layout that it knows.
RUN := $(if $(findstring thread,$(SAN)),setarch -R)

# The architecture: what each folder may include and link. Data flows from left to right in
# net -> statsd -> mapping -> metrics <- exposition <- http; only app knows more than one stage.
# What is served at /sd is no metric and stands apart, in targets; push is another way out.
DIRS            := base yaml tls model net statsd mapping metrics exposition push targets http app
USES_base       :=
USES_yaml       := base
USES_tls        := base
USES_model      := base
USES_net        := tls base
USES_statsd     := model base
USES_mapping    := yaml model base
USES_metrics    := model base
USES_exposition := metrics model base
USES_push       := metrics model base
USES_targets    := model base
USES_http       := tls base
USES_app        := http targets push exposition metrics mapping statsd net tls yaml model base

# Each library is fenced into the folders that name it here.
LIBS_base       := -lm
LIBS_tls        := -lgnutls
LIBS_net        := -lev
LIBS_yaml       := -lyaml
LIBS_mapping    := -lpcre2-8
LIBS_exposition := -lz $(if $(wildcard /usr/include/isa-l.h /usr/include/isa-l/igzip_lib.h),-lisal)
LIBS_push       := -lcurl -lsnappy
LIBS_targets    := -ljansson
LIBS_http       := -lmicrohttpd -lcrypt -lev
LIBS_app        := -lev

lib  = $(patsubst %,$(BUILD)/lib%.a,$1)
libs = $(foreach d,$1,$(LIBS_$d))
tests_of = $(patsubst tests/%.c,$(BUILD)/tests/%,$(foreach d,$(if $(U),$(U),$(DIRS)),$(wildcard tests/$d/*_$1.c)))

UNITS   := $(call tests_of,test)
FUZZERS := $(call tests_of,fuzz)

all: $(BUILD)/statsbridge

# ---- Building. ----

$(BUILD)/statsbridge: $(BUILD)/main.o $(call lib,app $(USES_app))
	$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(call libs,app $(USES_app))

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -c -o $@ $<

# What is tested is optimized, but not what tests it: that takes a third of the time.
TEST_FLAGS := -Itests -Og

define FOLDER
$(call lib,$1): $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/$1/*.c))
	@mkdir -p $$(@D) && rm -f $$@
	$(AR) rcs $$@ $$^
$(BUILD)/tests/$1/%_test: tests/$1/%_test.c $(call lib,$1 $(USES_$1)) Makefile
	@mkdir -p $$(@D)
	$(CC) $(FLAGS) $(TEST_FLAGS) $(LDFLAGS) -o $$@ $$< $$(filter %.a,$$^) -lcmocka $(call libs,$1 $(USES_$1))
$(BUILD)/tests/$1/%_fuzz: tests/$1/%_fuzz.c tests/replay.c $(call lib,$1 $(USES_$1)) Makefile
	@mkdir -p $$(@D)
	$(CC) $(FLAGS) $(TEST_FLAGS) $(LDFLAGS) -o $$@ $$< tests/replay.c $$(filter %.a,$$^) $(call libs,$1 $(USES_$1))
endef
$(foreach d,$(DIRS),$(eval $(call FOLDER,$d)))

# What bench and books share is a library; each has its main file for itself.
BENCH_MAINS := tests/bench/bench.c tests/bench/books.c
BENCH_FLAGS := -Itests -Itests/bench
$(BUILD)/tests/bench/%.o: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(BENCH_FLAGS) -c -o $@ $<
$(BUILD)/libbench.a: $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(filter-out $(BENCH_MAINS),$(wildcard tests/bench/*.c)))
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/bench $(BUILD)/books: $(BUILD)/%: $(BUILD)/tests/bench/%.o $(call lib,bench app $(USES_app))
	$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(call libs,app $(USES_app))

# ---- Testing. ----

unit: $(UNITS:%=unit-run/%)
ifneq ($(findstring thread,$(SAN)),)
# ThreadSanitizer has nothing to say of a program that starts no thread.
unit-run/%: %
	@case "$$(nm -u $<)" in \
	*pthread_create*) $(RUN) $< ;; \
	*__tsan_init*) echo "$<: one thread" ;; \
	*) echo "$<: not for ThreadSanitizer"; exit 1 ;; esac
else
unit-run/%: %
	@$<
endif

replay: $(FUZZERS)
	@bad=; for f in $(FUZZERS); do n=$${f#$(BUILD)/tests/}; \
	$(RUN) $$f tests/data/$${n%_fuzz} || bad="$$bad $$f"; done; \
	test -z "$$bad" || { echo "FAILED:$$bad"; exit 1; }

lint: all
	@$(foreach d,$(DIRS),sh tests/lint/layers.sh $d "$(USES_$d)" &&) echo "layers: ok"
	@sh tests/lint/options-in-readme.sh $(BUILD)/statsbridge
	@sh tests/lint/own-metrics-in-readme.sh

CASES ?= tests/conformance/cases
SCANNERS := auto portable
conformance: all
	@for s in $(SCANNERS); do echo "scanner: $$s"; python3 tests/conformance/run.py \
	--bin $(BUILD)/statsbridge --cases $(CASES) --args=--debug.scanner=$$s || exit 1; done

# Most of these tests wait most of the time. What only data decides comes out the same with sanitizers. pytest
# keeps what it makes of the files, for the next build's turn.
e2e: all
	PYTHONDONTWRITEBYTECODE= STATSBRIDGE=$(CURDIR)/$(BUILD)/statsbridge build/venv/bin/pytest -q -n $$((4 * $$(nproc))) --dist loadgroup \
		tests/e2e $(if $(SAN),-m "not packs") $(E)

RATE    ?= 200000
SECONDS ?= $(if $(filter books,$(MAKECMDGOALS)),30,60)
books: all $(BUILD)/books
	$(BUILD)/books $(if $(SERIES),--series=$(SERIES)) $(if $(SCRAPE_EVERY),--scrape-every=$(SCRAPE_EVERY)) \
		$(if $(HOSTILE),--hostile=$(HOSTILE)) $(if $(SECURE),--secure) \
		$(BUILD)/statsbridge mappings/example/mapping.yml $(RATE) $(SECONDS)

# A short crowd of hostile clients, without a judgement of time.
HOSTILE_BOOKS := $(BUILD)/books --hostile=200 --patient --transport=udp
hostile: all $(BUILD)/books
	@$(HOSTILE_BOOKS) $(BUILD)/statsbridge mappings/example/mapping.yml 20000 4
	@$(HOSTILE_BOOKS) --secure $(BUILD)/statsbridge mappings/example/mapping.yml 20000 4

# Measures and judges; fails only when it could not measure.
bench: all $(BUILD)/bench
	$(BUILD)/bench $(if $(T),--rows=$(T)) $(if $(PEER),--peer="$(PEER)") $(BUILD)/statsbridge

# ---- Fuzzing, with clang's libFuzzer. What is found goes to build/findings. ----

TARGETS := $(if $(T),$T,$(patsubst $(BUILD)/tests/%_fuzz,%,$(FUZZERS)))
FUZZ_FLAGS := $(filter-out -MMD -MP,$(FLAGS)) -O1 -fsanitize=fuzzer,address,undefined

fuzz: $(patsubst %,fuzz-run/%,$(TARGETS))
fuzz-run/%: build/fuzz/%
	@mkdir -p build/corpus/$* build/findings
	build/fuzz/$* -max_total_time=$(SECONDS) -artifact_prefix=build/findings/ -print_final_stats=1 \
		-timeout=25 -rss_limit_mb=4096 build/corpus/$* $(wildcard tests/data/$*) 2>build/fuzz/$*.log \
		|| { tail -40 build/fuzz/$*.log; exit 1; }
	@grep -E "number_of_executed_units" build/fuzz/$*.log
folder_of = $(patsubst %/,%,$(dir $1))
.SECONDEXPANSION:
build/fuzz/%: tests/%_fuzz.c $$(foreach d,$$(call folder_of,$$*) $$(USES_$$(call folder_of,$$*)),$$(wildcard src/$$d/*.[ch]))
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -Itests -o $@ $(filter %.c,$^) \
		$(call libs,$(call folder_of,$*) $(USES_$(call folder_of,$*)))

# ---- The two commands. ----

run:
	@sh tests/tools/install.sh build
	@$(MAKE) --no-print-directory all
	$(BUILD)/statsbridge --statsd.mapping-config=mappings/example/mapping.yml $(ARGS)

# One job more than CPUs, for what waits; e2e first, since its last tests take long and leave room.
SIDE_BY_SIDE = --no-print-directory --output-sync=target -j$$(($$(nproc) + 1))

# The sanitizers share the machine: each of these makes its own build folder. Between threads all
# scanners are alike. The hostile crowd comes when all else is over: the server's thread for HTTP steps back
# behind other work, so that on a busy machine its clients would wait for the crowd.
check:
	@sh tests/tools/install.sh build check
	@$(MAKE) $(SIDE_BY_SIDE) WERROR=1 all e2e conformance build/bench build/books unit lint replay
	@$(MAKE) --no-print-directory hostile
	@$(MAKE) $(SIDE_BY_SIDE) SAN=address,undefined all e2e conformance unit replay
	@$(MAKE) $(SIDE_BY_SIDE) SAN=thread SCANNERS=auto all e2e conformance unit replay
	@echo "check: every test passed"

# As root. Leaves nothing behind but Debian's packages.
docker-test:
	@sh tests/tools/install.sh build check docker
	@$(MAKE) --no-print-directory all
	REVISION="$$(git rev-parse HEAD)" CREATED="$$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
		STATSBRIDGE=$(CURDIR)/$(BUILD)/statsbridge build/venv/bin/pytest -q tests/docker $(E)

clean:
	rm -rf build build-*

.PHONY: all unit replay lint conformance e2e books hostile bench fuzz run check docker-test clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
