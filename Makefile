# statsbridge
#
# make run      installs what is missing, builds, serves statsd on 9125 and metrics on 9102
# make check    installs what is missing, builds, and passes every test
#
# make              the server, build/statsbridge
# make unit         unit tests; U=statsd for one folder only
# make lint         the architecture (USES_* below) and other rules that matter
# SAN=address,undefined | SAN=thread   a build folder of its own with sanitizers

comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
CC    := $(if $(filter default,$(origin CC)),gcc,$(CC))
CFLAGS ?= -O2 -g
VERSION := 0.1.0

FLAGS = -std=gnu11 -D_GNU_SOURCE -Isrc -MMD -MP -pthread -Wall -Wextra -Wshadow -Wvla \
	-Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wformat=2 \
	-Wno-missing-field-initializers $(if $(WERROR),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(CFLAGS)

# The architecture: what each folder may include and link. Data flows from left to right in
# net -> statsd -> mapping -> metrics <- exposition <- http; only app knows more than one stage.
DIRS            := base model net statsd mapping metrics exposition http app
USES_base       :=
USES_model      := base
USES_net        := base
USES_statsd     := model base
USES_mapping    := model base
USES_metrics    := model base
USES_exposition := metrics model base
USES_http       := base
USES_app        := http exposition metrics mapping statsd net model base

# Each library is fenced into the folders that name it here.
LIBS_base       := -lm
LIBS_net        := -lev
LIBS_mapping    := -lyaml -lpcre2-8
LIBS_exposition := -lz $(if $(wildcard /usr/include/isa-l.h /usr/include/isa-l/igzip_lib.h),-lisal)
LIBS_http       := -lmicrohttpd -lev
LIBS_app        := -lev -ljansson

lib  = $(patsubst %,$(BUILD)/lib%.a,$1)
libs = $(foreach d,$1,$(LIBS_$d))
tests_of = $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/$1/*_$2.c))

UNITS := $(foreach d,$(if $(U),$(U),$(DIRS)),$(call tests_of,$d,test))
FUZZERS := $(foreach d,$(DIRS),$(call tests_of,$d,fuzz))

all: $(BUILD)/statsbridge

$(BUILD)/statsbridge: $(BUILD)/main.o $(call lib,app $(USES_app))
	$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(call libs,app $(USES_app))

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DSTATSBRIDGE_VERSION='"$(VERSION)"' -c -o $@ $<

define FOLDER
$(call lib,$1): $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/$1/*.c))
	@mkdir -p $$(@D) && rm -f $$@
	$(AR) rcs $$@ $$^
$(BUILD)/tests/$1/%_test: tests/$1/%_test.c $(call lib,$1 $(USES_$1)) Makefile
	@mkdir -p $$(@D)
	$(CC) $(FLAGS) -Itests $(LDFLAGS) -o $$@ $$(filter %.c %.a,$$^) -lcmocka $(call libs,$1 $(USES_$1))
$(BUILD)/tests/$1/%_fuzz: tests/$1/%_fuzz.c tests/replay.c $(call lib,$1 $(USES_$1)) Makefile
	@mkdir -p $$(@D)
	$(CC) $(FLAGS) -Itests $(LDFLAGS) -o $$@ $$(filter %.c %.a,$$^) $(call libs,$1 $(USES_$1))
endef
$(foreach d,$(DIRS),$(eval $(call FOLDER,$d)))

unit: $(UNITS)
	@bad=; for t in $(UNITS); do $(RUN) $$t || bad="$$bad $$t"; done; \
	test -z "$$bad" || { echo "FAILED:$$bad"; exit 1; }

lint:
	@$(foreach d,$(DIRS),sh tests/lint/layers.sh $d "$(USES_$d)" &&) echo "layers: ok"

clean:
	rm -rf build build-*

.PHONY: all unit lint clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
