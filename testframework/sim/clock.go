package sim

import (
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// epochMs is the wall clock at virtual time 0, Unix ms.
const epochMs = 1_700_000_000_000

// clock is a node's idea of time: wall time off by an offset, both clocks running at another speed.
type clock struct {
	offset time.Duration
	ppm    int64 // parts per million faster
	since  time.Duration
}

// instant is what a process that started at started reads now.
func (c *clock) instant(now, started time.Duration) consensus.Instant {
	local := now + c.drift(now-c.since) + c.offset
	return consensus.Instant{Mono: now - started + c.drift(now-started) + 1, UnixMs: uint64(int64(epochMs) + local.Milliseconds())}
}

func (c *clock) drift(d time.Duration) time.Duration {
	return d * time.Duration(c.ppm) / 1_000_000 // below 2^63 for a thousand hours
}

// when is the virtual time at which a process that started at started reads mono.
func (c *clock) when(mono, now, started time.Duration) time.Duration {
	d := mono - 1
	at := started + d - c.drift(d)
	for c.instant(at, started).Mono < mono {
		at += max(1, mono-c.instant(at, started).Mono)
	}
	return max(at, now)
}
