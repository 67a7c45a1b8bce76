package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// maxContractFileBytes bounds what is read as a contract, an artifact or an ABI: a module of 128 KiB in
// hexadecimal digits, twice, with the largest ABI beside it.
const maxContractFileBytes = 4 << 20

func newContractABI() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "abi FILE",
		Short: "Print what a contract offers, with selectors and topics",
		Long: `Abi prints the functions, events and errors of a contract as signatures that people
read and other commands take, with the first four bytes of their calls (selectors) and
the first topic of their logs.

FILE is an artifact of "tercet contract build", Hardhat or Foundry, a JSON ABI, or a
text with one signature a line, in which lines that begin with // are comments.`,
		Example: `  tercet contract abi build/token.json
  tercet contract abi token.abi --json | jq -r '.[] | select(.type == "event") | .topic'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := readABI(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), offers(entries))
			}
			return printABI(cmd.OutOrStdout(), entries)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// readABI reads an ABI in any of the forms that people have them in.
func readABI(path string) (contractABI, error) {
	raw, err := readContractFile(path)
	if err != nil {
		return nil, err
	}
	entries, err := decodeABI(raw)
	if err != nil {
		return nil, usage("%s: %w", path, err)
	}
	return entries, nil
}

func decodeABI(raw []byte) (contractABI, error) {
	switch trimmed := bytes.TrimSpace(raw); {
	case bytes.HasPrefix(trimmed, []byte("{")):
		var file struct {
			ABI json.RawMessage `json:"abi"`
		}
		if err := json.Unmarshal(trimmed, &file); err != nil {
			return nil, fmt.Errorf("this is neither an artifact nor an ABI: %w", err)
		}
		if file.ABI == nil {
			return nil, errors.New(`this JSON has no "abi": name an artifact or an ABI`)
		}
		return parseABI(file.ABI)
	case bytes.HasPrefix(trimmed, []byte("[")):
		return parseABI(trimmed)
	case len(trimmed) == 0 || bytes.IndexByte(trimmed, 0) >= 0:
		return nil, errors.New("this is no ABI: name an artifact, a JSON ABI, or a text with one signature a line")
	default:
		return parseHumanABI(string(trimmed))
	}
}

// readContractFile reads a file that a user named.
func readContractFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if cause, ok := errors.AsType[*fs.PathError](err); ok {
			err = cause.Err
		}
		return nil, usage("reading %s: %w", path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, maxContractFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(raw) > maxContractFileBytes {
		return nil, usage("%s has more than %d bytes: this is not a contract", path, maxContractFileBytes)
	}
	return raw, nil
}

// offer is an entry of an ABI as "contract abi" shows it.
type offer struct {
	Type      string `json:"type"`
	Name      string `json:"name,omitempty"`
	Signature string `json:"signature,omitempty"` // what selector and topic are hashes of
	Selector  string `json:"selector,omitempty"`  // of functions and errors
	Topic     string `json:"topic,omitempty"`     // of events that are not anonymous
	Text      string `json:"text"`
}

func offers(entries contractABI) []offer {
	list := []offer{}
	for _, e := range entries {
		o := offer{Type: e.Type, Name: e.Name, Text: e.String()}
		if needsName(e.Type) {
			o.Signature = e.signature()
		}
		selector, topic := e.selector(), e.topic()
		switch {
		case e.Type == "function" || e.Type == "error":
			o.Selector = "0x" + hex.EncodeToString(selector[:])
		case e.Type == "event" && !e.Anonymous:
			o.Topic = "0x" + hex.EncodeToString(topic[:])
		}
		list = append(list, o)
	}
	return list
}

// printABI groups what people look for: first the short selectors, then the topics, which fill a line.
func printABI(w io.Writer, entries contractABI) error {
	rows := [][]string{{"SELECTOR", "SIGNATURE"}}
	var events []offer
	for _, o := range offers(entries) {
		switch {
		case o.Type == "event":
			events = append(events, o)
		case o.Selector == "":
			rows = append(rows, []string{"-", o.Text})
		default:
			rows = append(rows, []string{o.Selector, o.Text})
		}
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	if len(events) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows = [][]string{{"TOPIC", "SIGNATURE"}}
	for _, o := range events {
		topic := o.Topic
		if topic == "" {
			topic = "-"
		}
		rows = append(rows, []string{topic, o.Text})
	}
	return printTable(w, rows)
}
