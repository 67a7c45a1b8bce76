package consensustest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// separator ends a paragraph's commands and begins its expected transcript.
const separator = "----"

// Run executes a script and returns it with fresh transcripts. A script is a
// sequence of paragraphs divided by blank lines: commands, a line of four
// dashes, and what they printed. Lines that begin with # are comments.
//
//	network n=4 term=1 window=0 latency=10ms idle=1s   begin
//	work on|off                 the applications want blocks, or not
//	run 200ms                   let time pass
//	crash I · start I · forget I   stop, restart from the log, lose the log
//	behave I equivocator|splitter|withholder|laggard|contradictor|honest
//	cut I J… · lose KIND I · heal  drop all between replicas, a kind of vote
//	                            that one sends, or nothing
//	state                       print where each replica is
func Run(script string) (string, error) {
	s := &runner{}
	var out strings.Builder
	var err error
	for i, paragraph := range paragraphs(script) {
		if i > 0 {
			out.WriteString("\n")
		}
		commands, _, _ := strings.Cut(paragraph+"\n", "\n"+separator+"\n")
		s.lines = nil
		isCode := false
		for line := range strings.Lines(strings.TrimRight(commands, "\n") + "\n") {
			out.WriteString(line)
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") || err != nil {
				continue
			}
			isCode = true
			if err = s.do(strings.Fields(line)); err != nil {
				err = fmt.Errorf("%q: %w", line, err)
			}
		}
		if isCode {
			out.WriteString(separator + "\n")
			for _, l := range s.lines {
				out.WriteString(l + "\n")
			}
		}
	}
	return out.String(), err
}

func paragraphs(script string) []string {
	var list []string
	for p := range strings.SplitSeq(script, "\n\n") {
		if p = strings.Trim(p, "\n"); p != "" {
			list = append(list, p)
		}
	}
	return list
}

type runner struct {
	net   *Network
	lines []string
	cut   map[[2]int]bool
	lost  map[int]consensus.Kind
}

func (s *runner) do(f []string) error {
	if f[0] == "network" {
		return s.begin(f[1:])
	}
	if s.net == nil {
		return errors.New("the first command must be network")
	}
	switch f[0] {
	case "work":
		s.net.SetWork(len(f) > 1 && f[1] == "on")
	case "run":
		if len(f) != 2 {
			return errors.New("want: run DURATION")
		}
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		return s.net.Run(d)
	case "heal":
		s.cut, s.lost = map[[2]int]bool{}, map[int]consensus.Kind{}
	case "state":
		s.state()
	case "lose":
		return s.lose(f[1:])
	default:
		return s.doReplica(f)
	}
	return nil
}

func (s *runner) doReplica(f []string) error {
	if len(f) < 2 {
		return errors.New("unknown command, or a replica is missing")
	}
	i, err := s.index(f[1])
	if err != nil {
		return err
	}
	switch f[0] {
	case "crash":
		s.net.Crash(i)
	case "start":
		s.net.Start(i)
	case "forget":
		s.net.Forget(i)
	case "cut":
		for _, name := range f[2:] {
			j, err := s.index(name)
			if err != nil {
				return err
			}
			s.cut[[2]int{i, j}], s.cut[[2]int{j, i}] = true, true
		}
	case "behave":
		return s.behave(i, f[2:])
	default:
		return errors.New("unknown command")
	}
	return nil
}

func (s *runner) behave(i int, f []string) error {
	known := map[string]Behavior{
		"honest": Honest{}, "equivocator": Equivocator{}, "withholder": Withholder{},
		"laggard": Laggard{}, "contradictor": Contradictor{}, "splitter": Splitter{},
	}
	if len(f) != 1 || known[f[0]] == nil {
		return errors.New("unknown behaviour")
	}
	s.net.Become(i, known[f[0]])
	return nil
}

func (s *runner) lose(f []string) error {
	if len(f) != 2 {
		return errors.New("want: lose KIND REPLICA")
	}
	i, err := s.index(f[1])
	if err != nil {
		return err
	}
	for _, k := range []consensus.Kind{consensus.Notarize, consensus.Nullify, consensus.Finalize} {
		if strings.EqualFold(k.String(), f[0]) {
			s.lost[i] = k
			return nil
		}
	}
	return errors.New("unknown kind of vote")
}

func (s *runner) index(name string) (int, error) {
	i, err := strconv.Atoi(name)
	if err != nil || i < 0 || i >= len(s.net.nodes) {
		return 0, fmt.Errorf("no replica %q", name)
	}
	return i, nil
}

func (s *runner) begin(args []string) error {
	cfg := Config{
		Validators: 4, Term: 1, Timing: consensus.DefaultTiming(), Latency: 10 * time.Millisecond,
		Trace: func(line string) { s.lines = append(s.lines, strings.TrimRight(line, " ")) },
	}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		var err error
		switch key {
		case "n":
			cfg.Validators, err = strconv.Atoi(value)
		case "term":
			cfg.Term, err = strconv.ParseUint(value, 10, 64)
		case "window":
			cfg.Window, err = strconv.ParseUint(value, 10, 64)
		case "latency":
			cfg.Latency, err = time.ParseDuration(value)
		case "idle":
			cfg.Timing.MaxIdle, err = time.ParseDuration(value)
		default:
			err = errors.New("unknown parameter")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
	}
	s.cut, s.lost = map[[2]int]bool{}, map[int]consensus.Kind{}
	cfg.Deliver = func(from, to int, m consensus.Message) (time.Duration, bool) {
		if v, ok := m.(*consensus.Vote); ok && s.lost[from] == v.Kind {
			return 0, false
		}
		return 0, !s.cut[[2]int{from, to}]
	}
	var err error
	s.net, err = New(cfg)
	return err
}

func (s *runner) state() {
	for _, r := range s.net.nodes {
		if !r.up {
			s.lines = append(s.lines, fmt.Sprintf("n%d down at height %d", r.Index, len(r.Chain)))
			continue
		}
		snap := r.Snapshot()
		line := fmt.Sprintf("n%d view %d height %d", r.Index, snap.View, len(r.Chain))
		if !snap.Voting {
			line += fmt.Sprintf(" observing until view %d", snap.VotesFrom)
		}
		var accused []string
		for _, e := range r.Evidence {
			accused = append(accused, fmt.Sprintf("n%d", e.A.Signer))
		}
		slices.Sort(accused)
		if accused = slices.Compact(accused); len(accused) > 0 {
			line += " accuses " + strings.Join(accused, ",")
		}
		s.lines = append(s.lines, line)
	}
}
