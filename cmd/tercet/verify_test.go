package main_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	tercet "github.com/tercet-chain/tercet/cmd/tercet"
)

const (
	proofFile   = "testdata/proof/contract.json"
	genesisFile = "testdata/proof/genesis.json"
)

// TestVerifyProof_everyByte: a proof with any byte changed is refused, or says the same.
func TestVerifyProof_everyByte(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(proofFile)
	if err != nil {
		t.Fatal(err)
	}
	verify, err := tercet.ProofVerifier(genesisFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := verify(whole)
	if err != nil || !strings.Contains(want, "code hash") || !strings.Contains(want, "slot ") {
		t.Fatalf("%v: %s", err, want)
	}
	refused := 0
	for i := range whole {
		for _, change := range []byte{1, 2, 0x20} {
			forged := bytes.Clone(whole)
			forged[i] ^= change
			got, err := verify(forged)
			switch {
			case err != nil:
				refused++
			case got != want:
				t.Fatalf("byte %d, %q instead of %q, proves %s", i, forged[i], whole[i], got)
			}
		}
	}
	if refused < 2*len(whole) {
		t.Errorf("%d of %d changes were refused", refused, 3*len(whole))
	}
	for end := range len(whole) - 1 { // the last byte ends the line
		if _, err := verify(whole[:end]); err == nil {
			t.Fatalf("the first %d of %d bytes prove something", end, len(whole))
		}
	}
}

func FuzzVerifyProof(f *testing.F) {
	whole, err := os.ReadFile(proofFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"result": null}`))
	verify, err := tercet.ProofVerifier(genesisFile)
	if err != nil {
		f.Fatal(err)
	}
	want, err := verify(whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, err := verify(answer)
		// The validators signed more than this block; nobody makes a signature of theirs by fuzzing.
		if err == nil && strings.Split(got, "\n")[0] != strings.Split(want, "\n")[0] {
			t.Fatalf("proves %s", got)
		}
	})
}
