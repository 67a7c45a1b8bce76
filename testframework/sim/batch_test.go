package sim_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
)

// TestBatch_seeds runs the first seeds of the gate; TERCET_SEEDS sets how many.
func TestBatch_seeds(t *testing.T) {
	last := uint64(40)
	if env := os.Getenv("TERCET_SEEDS"); env != "" {
		var err error
		if last, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	b := sim.Batch{From: 1, To: last, Options: sim.DefaultOptions(), Jobs: 2}
	s, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.Failed {
		t.Errorf("seed %d: %v", o.Seed, o.Result.Err)
	}
	if s.Runs != int(last) || s.Stats.Height < 50*last || s.Faults < s.Runs {
		t.Errorf("%d runs came to %d blocks with %d faults", s.Runs, s.Stats.Height, s.Faults)
	}
}

// A run must not depend on what else runs, on how often it is run, or on the order of jobs.
func TestBatch_Run_sameHashForAnyJobs(t *testing.T) {
	o := sim.DefaultOptions()
	o.Duration = 30 * time.Second
	hashes := map[string]int{}
	for _, jobs := range []int{1, 3, 2} {
		b := sim.Batch{From: 100, To: 115, Options: o, Jobs: jobs}
		s, err := b.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hashes[s.Hash]++
	}
	if len(hashes) != 1 {
		t.Errorf("three runs of the same seeds gave the hashes %v", hashes)
	}
	other := sim.Batch{From: 100, To: 114, Options: o, Jobs: 1}
	s, err := other.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if hashes[s.Hash] != 0 {
		t.Error("a batch of fewer seeds has the same hash")
	}
}

// TestScripts replays scenarios that once broke a promise.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := sim.ParseScenario(string(text))
			if err != nil {
				t.Fatal(err)
			}
			r, err := sim.Run(s)
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}
