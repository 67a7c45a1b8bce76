package sim_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
)

func TestScratch(t *testing.T) {
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	to, _ := strconv.Atoi(os.Getenv("TO"))
	bad := 0
	rules := map[string]int{}
	start := time.Now()
	var simmed time.Duration
	for seed := from; seed < to; seed++ {
		s := sim.Generate(uint64(seed), sim.DefaultOptions())
		r, err := sim.Run(s)
		if err != nil {
			t.Fatal(err)
		}
		simmed += r.At
		if r.Err != nil {
			bad++
			rules[r.Rule()]++
			if bad < 12 {
				text := r.Err.Error()
				if len(text) > 700 {
					text = text[:700]
				}
				fmt.Printf("seed %d n=%d T=%d W=%d liars=%v lat %v-%v at %v: %s\n", seed, s.Validators, s.Term, s.Window, s.Liars, s.Network.MinLatency, s.Network.MaxLatency, r.At, text)
			}
		}
	}
	fmt.Println(bad, "of", to-from, rules, simmed.Seconds()/time.Since(start).Seconds(), "sim s/s")
}
