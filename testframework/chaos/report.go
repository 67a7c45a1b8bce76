package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// reportLines of each log are shown, reportBytes of it read.
	reportLines = 40
	reportBytes = 64 << 10
	// reportPatience bounds the question to a node that is not well.
	reportPatience = 2 * time.Second
)

// Report writes what one wants to know of a network in which a test failed: what each node says of
// itself, and the end of its log.
func (n *Network) Report(ctx context.Context, w io.Writer) {
	fmt.Fprintf(w, "network in %s\n", n.Dir)
	for _, node := range n.Nodes {
		fmt.Fprintf(w, "\n%s: pid %d, runs %v, %s\n", node.Name, node.PID, node.Running(), node.RPC)
		bounded, cancel := within(ctx, reportPatience, "the answer")
		var status json.RawMessage
		if err := node.Client.Call(bounded, &status, "tercet_status"); err != nil {
			fmt.Fprintf(w, "  %v\n", err)
		} else {
			fmt.Fprintf(w, "  %s\n", status)
		}
		cancel()
		fmt.Fprintln(w, Tail(filepath.Join(node.Home, "node.log"), reportLines))
	}
}

// Tail returns the last lines of a file, indented.
func Tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return "  " + err.Error()
	}
	defer func() { _ = f.Close() }() // it was only read
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-reportBytes), io.SeekStart) // else from the start
	}
	raw, err := io.ReadAll(io.LimitReader(f, reportBytes))
	if err != nil {
		return "  " + err.Error()
	}
	all := strings.Split(string(bytes.TrimRight(raw, "\n")), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}
