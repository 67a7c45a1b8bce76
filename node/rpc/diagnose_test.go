package rpc_test

import (
	"fmt"
	"testing"

	"github.com/tercet-chain/tercet/node/diagnosis"
	"github.com/tercet-chain/tercet/node/rpc"
)

func TestServer_diagnose(t *testing.T) {
	c := newChain(t, nil)
	if got := c.fields("tercet_diagnose")["findings"]; fmt.Sprint(got) != "[]" {
		t.Errorf("got %v of a healthy node, want an empty list", got)
	}
	if got := c.fields("tercet_status")["findings"]; fmt.Sprint(got) != "[]" {
		t.Errorf("got %v in the status, want an empty list", got)
	}
	c.diagnosis = rpc.Diagnosis{
		Name: "node1", PeerID: "16Uiu", Instance: "c0ffee", WallMs: genesisMs,
		Findings: []diagnosis.Finding{{
			Cause: diagnosis.DiskFull, Severity: diagnosis.Error, Text: "it is full", Do: "free space", Figures: map[string]any{"freeBytes": 5}, Unready: true,
		}},
	}
	want := `"name":"node1","peerId":"16Uiu","instance":"c0ffee","wallMs":1700000000000,` +
		`"findings":[{"cause":"disk_full","severity":"error","text":"it is full","do":"free space","figures":{"freeBytes":5},"unready":true}]}`
	if got := c.result("tercet_diagnose"); len(got) < len(want) || got[len(got)-len(want):] != want {
		t.Errorf("got %s, want it to end with %s", got, want)
	}
	if got := c.fields("tercet_status")["findings"]; fmt.Sprint(got) != "[disk_full]" {
		t.Errorf("got %v in the status, want the cause", got)
	}
}
