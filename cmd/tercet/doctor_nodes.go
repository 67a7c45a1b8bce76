package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tercet-chain/tercet/node/diagnosis"
)

const (
	// comparedDrift is the default of consensus.max_drift: clocks further apart cost votes.
	comparedDrift = 500 * time.Millisecond
	// comparedBlocks is how far apart the heights of healthy nodes may be when they are asked at about one
	// moment; one that is further behind gets comparedPatience to reach the height that it lacked.
	comparedBlocks   = diagnosis.BehindBlocks
	comparedPatience = 2 * time.Second
)

// nodeDiagnosis is what the doctor reads of tercet_diagnose.
type nodeDiagnosis struct {
	Version     string              `json:"version"`
	GenesisHash string              `json:"genesisHash"`
	Height      uint64              `json:"height"`
	Name        string              `json:"name"`
	PeerID      string              `json:"peerId"`
	Instance    string              `json:"instance"`
	WallMs      int64               `json:"wallMs"`
	Findings    []diagnosis.Finding `json:"findings"`
}

// answered is one node's answer, or why there is none.
type answered struct {
	nodeDiagnosis
	subject string
	// offset of its clock from this machine's, which is within trip/2 of it.
	offset, trip time.Duration
	err          error
	// later is its height when it was asked again, if it was.
	later uint64
}

func askAll(ctx context.Context, list []patient) []answered {
	answers := make([]answered, len(list))
	var wg sync.WaitGroup
	for i, p := range list {
		a := &answers[i]
		if a.subject = p.name; a.subject == "" {
			a.subject = p.url
		}
		if p.url == "" {
			a.err = fmt.Errorf("its configuration cannot be read")
			continue
		}
		wg.Go(func() {
			began := time.Now()
			if a.err = callRPC(ctx, p.url, "tercet_diagnose", &a.nodeDiagnosis); a.err == nil {
				a.trip = time.Since(began)
				a.offset = time.UnixMilli(a.WallMs).Sub(began.Add(a.trip / 2))
			}
		})
	}
	wg.Wait()
	return answers
}

// askBehind asks those again that seem to be behind, until they are not or comparedPatience is over: nobody answers
// at the same moment as another.
func askBehind(ctx context.Context, list []patient, answers []answered) error {
	highest := map[string]uint64{} // by genesis
	for _, a := range answers {
		if a.err == nil {
			highest[a.GenesisHash] = max(highest[a.GenesisHash], a.Height)
		}
	}
	err := poll(ctx, 100*time.Millisecond, comparedPatience, func() (bool, error) {
		all := true
		for i := range answers {
			a := &answers[i]
			if a.later = max(a.later, a.Height); a.err != nil || highest[a.GenesisHash]-a.Height <= comparedBlocks || a.later >= highest[a.GenesisHash] {
				continue
			}
			var now nodeDiagnosis
			if err := callRPC(ctx, list[i].url, "tercet_diagnose", &now); err == nil {
				a.later = now.Height
			}
			all = all && a.later >= highest[a.GenesisHash]
		}
		return all, nil
	})
	if errors.Is(err, errTimeout) {
		return nil
	}
	return err
}

// compare finds what only shows between nodes.
func compare(answers []answered) []diagnosis.Finding {
	var well []answered
	for _, a := range answers {
		if a.err == nil {
			well = append(well, a)
		}
	}
	var found []diagnosis.Finding
	if len(well) > 0 {
		var known []diagnosis.Clock
		for _, a := range well {
			if a.WallMs == 0 { // it does not say
				continue
			}
			known = append(known, diagnosis.Clock{Peer: a.subject, Offset: a.offset, Error: a.trip/2 + time.Millisecond})
		}
		found = diagnosis.CompareClocks("this machine", known, comparedDrift)
	}
	if len(well) > 1 {
		found = append(found, compareChains(well)...)
		found = append(found, compareKeys(well)...)
		found = append(found, compareVersions(well)...)
	}
	diagnosis.Sort(found)
	return found
}

// compareChains groups by genesis, and within one by height.
func compareChains(well []answered) []diagnosis.Finding {
	by := map[string][]answered{}
	for _, a := range well {
		by[a.GenesisHash] = append(by[a.GenesisHash], a)
	}
	var found []diagnosis.Finding
	if len(by) > 1 {
		figures, groups := map[string]any{}, []string{}
		for _, hash := range slices.Sorted(maps.Keys(by)) {
			names := subjects(by[hash])
			figures[hash] = names
			groups = append(groups, fmt.Sprintf("%s on %s", hash, strings.Join(names, ", ")))
		}
		found = append(found, diagnosis.Finding{
			Cause: diagnosis.WrongGenesis, Severity: diagnosis.Error, Figures: figures,
			Text: "the nodes are of different chains; genesis hashes: " + strings.Join(groups, "; "),
			Do:   "compare their genesis.json; put the right one where it is wrong, with an empty data directory if that node has blocks",
		})
	}
	for _, hash := range slices.Sorted(maps.Keys(by)) {
		var highest uint64
		for _, a := range by[hash] {
			highest = max(highest, a.Height)
		}
		for _, a := range by[hash] {
			if highest-a.Height > comparedBlocks && a.later < highest {
				found = append(found, diagnosis.Finding{
					Cause: diagnosis.Behind, Severity: diagnosis.Warning, Figures: map[string]any{"node": a.subject, "height": a.Height, "highest": highest, "later": a.later},
					Text: fmt.Sprintf("%s was at height %d, %d blocks behind the highest of these nodes, and had %d of them %v later", a.subject, a.Height, highest-a.Height, a.later-a.Height, comparedPatience),
					Do:   "look at its own findings; without any, ask again: it may be catching up",
				})
			}
		}
	}
	return found
}

func subjects(list []answered) []string {
	var names []string
	for _, a := range list {
		names = append(names, a.subject)
	}
	return names
}

// compareKeys finds two processes with one peer id. One that is asked twice has one instance.
func compareKeys(well []answered) []diagnosis.Finding {
	by := map[string][]answered{}
	for _, a := range well {
		by[a.PeerID] = append(by[a.PeerID], a)
	}
	var found []diagnosis.Finding
	for _, id := range slices.Sorted(maps.Keys(by)) {
		instances := map[string]bool{}
		for _, a := range by[id] {
			instances[a.Instance] = true
		}
		if id != "" && len(instances) > 1 {
			found = append(found, diagnosis.Finding{
				Cause: diagnosis.DuplicateKey, Severity: diagnosis.Error, Figures: map[string]any{"peerId": id, "nodes": subjects(by[id])},
				Text: fmt.Sprintf("%s are different processes with one key (peer id %s)", strings.Join(subjects(by[id]), " and "), id),
				Do:   "stop all but one of them at once",
			})
		}
	}
	return found
}

func compareVersions(well []answered) []diagnosis.Finding {
	by := map[string][]string{}
	for _, a := range well {
		by[a.Version] = append(by[a.Version], a.subject)
	}
	if len(by) < 2 {
		return nil
	}
	figures, groups := map[string]any{}, []string{}
	for _, version := range slices.Sorted(maps.Keys(by)) {
		figures[version] = by[version]
		groups = append(groups, version+" on "+strings.Join(by[version], ", "))
	}
	return []diagnosis.Finding{{
		Cause: diagnosis.VersionMismatch, Severity: diagnosis.Notice, Figures: figures,
		Text: "the nodes run different releases: " + strings.Join(groups, "; "),
		Do:   "nothing while nodes are upgraded one after the other; afterwards install the same release everywhere",
	}}
}
