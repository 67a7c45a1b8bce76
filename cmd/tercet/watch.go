package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// refresh is how often the nodes are asked.
const refresh = time.Second

// watchedStatus is what the table shows of tercet_status.
type watchedStatus struct {
	nodeStatus
	Validator    *string  `json:"validator"`
	Roster       number   `json:"roster"`
	Transactions number   `json:"transactions"`
	Findings     []string `json:"findings"`
	Pool         struct {
		Pending number `json:"pending"`
		Queued  number `json:"queued"`
	} `json:"pool"`
}

// watched is one line of the table.
type watched struct {
	name   string
	url    string
	status watchedStatus
	err    error
	at     time.Time
	// before and since are the transactions and the time of the answer before, for the rate.
	before number
	since  time.Time
}

// watchNodes shows the nodes until ctx ends: a table that is drawn again on a terminal, a line per node and second
// elsewhere. Once shows it a single time.
func watchNodes(ctx context.Context, w io.Writer, list []patient, once bool) error {
	nodes := make([]*watched, len(list))
	for i, p := range list {
		nodes[i] = &watched{name: p.name, url: p.url}
	}
	f, ok := w.(*os.File)
	live := ok && isTerminal(f) && os.Getenv("TERM") != "dumb" && !once
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	lines := 0
	for {
		askStatus(ctx, nodes)
		if ctx.Err() != nil {
			return nil // asked to end
		}
		text := watchLines(nodes, time.Now(), live || once)
		if live {
			text = clip(text, f) // a line that wraps would be two
			if lines > 0 {
				fmt.Fprintf(w, "\x1b[%dA\x1b[J", lines)
			}
		}
		lines = strings.Count(text, "\n")
		if _, err := io.WriteString(w, text); err != nil || once {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// clip cuts lines to the width of a terminal, if that is known.
func clip(text string, terminal *os.File) string {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if runes := []rune(line); len(runes) > int(size.Col) {
			lines[i] = string(runes[:size.Col])
		}
	}
	return strings.Join(lines, "\n")
}

func askStatus(ctx context.Context, nodes []*watched) {
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			var s watchedStatus
			err := callRPC(ctx, n.url, "tercet_status", &s)
			n.before, n.since = n.status.Transactions, n.at
			if n.status, n.err, n.at = s, err, time.Now(); err != nil {
				n.at = time.Time{}
			}
		})
	}
	wg.Wait()
}

// watchLines writes the nodes as a table with a heading, or each as a line with the time.
func watchLines(nodes []*watched, now time.Time, heading bool) string {
	names := map[string]string{} // of validators
	for _, n := range nodes {
		if n.err == nil && n.status.Validator != nil {
			names[strings.ToLower(*n.status.Validator)] = n.label()
		}
	}
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if heading {
		fmt.Fprintln(out, "NODE\tHEIGHT\tCERTIFIED\tVIEW\tLEADER\tTX/S\tPEERS\tPOOL\tFINDINGS")
	}
	for _, n := range nodes {
		if !heading {
			fmt.Fprintf(out, "%s\t", now.UTC().Format("15:04:05"))
		}
		fmt.Fprintln(out, printable(n.label())+"\t"+n.row(names))
	}
	_ = out.Flush() // a strings.Builder takes everything
	return b.String()
}

func (n *watched) label() string {
	if n.name != "" {
		return n.name
	}
	return strings.TrimPrefix(n.url, "http://")
}

func (n *watched) row(names map[string]string) string {
	if n.err != nil {
		why := "no answer"
		if refused, answered := errors.AsType[*rpcError](n.err); answered {
			why = refused.Error()
		}
		return printable(why)
	}
	s := &n.status
	rate := "-"
	if d := n.at.Sub(n.since).Seconds(); !n.since.IsZero() && d > 0 && s.Transactions >= n.before {
		rate = strconv.FormatFloat(float64(s.Transactions-n.before)/d, 'f', 0, 64)
	}
	leader := s.Leader
	if name, known := names[strings.ToLower(leader)]; known {
		leader = name
	} else if len(leader) > 10 {
		leader = leader[:10] + "…"
	}
	findings := strings.Join(s.Findings, " ")
	if findings == "" {
		findings = "-"
	}
	cells := []string{
		fmt.Sprint(s.Height), fmt.Sprint(s.Certified), fmt.Sprint(s.View), printable(leader), rate,
		fmt.Sprintf("%d/%d", s.Peers, s.Roster), fmt.Sprint(s.Pool.Pending + s.Pool.Queued), printable(findings),
	}
	return strings.Join(cells, "\t")
}

// watchFlagged runs "status --watch", or the table once for several nodes.
func watchFlagged(cmd *cobra.Command, urls []string, dir string, live bool) error {
	list, err := patients(cmd, urls, "", dir)
	if err != nil {
		return err
	}
	ctx, again, stop := stopOnSignal(cmd.Context())
	defer stop()
	go func() {
		if _, ok := <-again; ok {
			os.Exit(exitForced)
		}
	}()
	return watchNodes(ctx, cmd.OutOrStdout(), list, !live)
}
