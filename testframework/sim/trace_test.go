package sim_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/sim"
)

func TestTraceScratch(t *testing.T) {
	seed, _ := strconv.Atoi(os.Getenv("SEED"))
	if seed == 0 {
		return
	}
	from, _ := time.ParseDuration(os.Getenv("AT"))
	upto, _ := time.ParseDuration(os.Getenv("UPTO"))
	s := sim.Generate(uint64(seed), sim.DefaultOptions())
	fmt.Printf("%+v\n", *s)
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	w.Trace = func(at time.Duration, node int, text string) {
		if at >= from && at <= upto {
			fmt.Printf("%12v n%d %s\n", at, node, text)
		}
	}
	w.OnMessage = func(sent, arrived time.Duration, from_, to int, m consensus.Message) {
		if sent < from || sent > upto {
			return
		}
		switch m := m.(type) {
		case *consensus.Status, *consensus.CertResponse:
		case *consensus.Vote:
			fmt.Printf("%12v n%d -> n%d %v %d %.4x\n", sent, from_, to, m.Kind, m.View, m.Hash)
		case *consensus.Cert:
			fmt.Printf("%12v n%d -> n%d CERT %v %d %.4x\n", sent, from_, to, m.Kind, m.View, m.Hash)
		case *consensus.Proposal:
			fmt.Printf("%12v n%d -> n%d PROPOSAL %d h%d on %d\n", sent, from_, to, m.Block.Header.View, m.Block.Header.Height, m.Block.Header.ParentView)
		default:
			fmt.Printf("%12v n%d -> n%d %T\n", sent, from_, to, m)
		}
	}
	r := w.Run()
	fmt.Println(r.Err)
}
