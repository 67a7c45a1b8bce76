package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node/config"
)

const (
	// maxPartBytes bounds one file of a dump, maxLogTail what is taken of a log: its end.
	maxPartBytes = 8 << 20
	maxLogTail   = 2 << 20
	// partTimeout is for one question to the node.
	partTimeout = 10 * time.Second
	// minSecretDigits is from how many hexadecimal digits on a word of a key file is taken for secret: addresses
	// have 40, keys 64.
	minSecretDigits = 64
)

func newDebug() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug",
		Short: "Collect what a bug report needs",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDebugDump())
	return cmd
}

// dumpFlags say what to dump.
type dumpFlags struct {
	home, rpc, ops, log, out string
	asJSON                   bool
}

func newDebugDump() *cobra.Command {
	var f dumpFlags
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Write one file for a bug report",
		Long: `Dump writes a .tar.gz with what helps to understand a node: versions, settings, genesis,
status and diagnosis, metrics, goroutines, the end of the log, sizes of the databases.
It takes what it can get: of a node that does not answer, what lies on the disk.

Keys and passwords are never in it: key files are not read into it, settings that could
hold a secret are left out, and wherever a key of this home stands in a log, it is
struck out. Look through the file before you publish it: it names peers and addresses.`,
		Example: `  tercet debug dump --home ./node
  tercet debug dump --home ./node --log node.log --out report.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.dump(cmd) },
	}
	homeFlag(cmd, &f.home)
	rpcFlag(cmd, &f.rpc)
	cmd.Flags().StringVar(&f.ops, "ops", "", "the node's operations `URL` (default: what its configuration says)")
	cmd.Flags().StringVar(&f.log, "log", "", "take the end of this log `file` (default: node.log of the home)")
	cmd.Flags().StringVar(&f.out, "out", "", "`file` to write (default: tercet-debug-TIME.tar.gz)")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// part is a file of a dump.
type part struct {
	name string
	data []byte
}

// dump collects parts and what could not be had.
type dump struct {
	parts   []part
	missing []string
	secrets []*regexp.Regexp
}

// add strikes secrets out and keeps the beginning of what is too long.
func (d *dump) add(name string, data []byte, err error) {
	if err != nil {
		d.missing = append(d.missing, name+": "+err.Error())
		return
	}
	for _, secret := range d.secrets {
		data = secret.ReplaceAll(data, []byte("(struck out)"))
	}
	if len(data) > maxPartBytes {
		data = append(data[:maxPartBytes:maxPartBytes], "\n(cut)\n"...)
	}
	d.parts = append(d.parts, part{name, data})
}

func (d *dump) addJSON(name string, v any, err error) {
	var b bytes.Buffer
	if err == nil {
		err = printJSON(&b, v)
	}
	d.add(name, b.Bytes(), err)
}

func (f *dumpFlags) dump(cmd *cobra.Command) error {
	home, err := homeDir(f.home)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	if f.out == "" {
		f.out = "tercet-debug-" + now.Format("20060102T150405Z") + ".tar.gz"
	}
	if _, err := os.Stat(config.FilePath(home)); err != nil {
		return usage("%s is no home of a node: name one with --home", home)
	}
	d := &dump{}
	if d.secrets, err = secretsOf(home); err != nil {
		return fmt.Errorf("nothing is written, because the keys of %s, which must not be in it, cannot be read: %w", home, err)
	}
	d.addJSON("about.json", map[string]any{"time": now, "build": readBuild(), "processors": runtime.NumCPU()}, nil)
	f.collectDisk(d, home)
	f.collectNode(cmd, d, home)
	d.add("missing.txt", []byte(strings.Join(d.missing, "\n")+"\n"), nil)
	n, err := d.write(f.out, now)
	if err != nil {
		return err
	}
	if f.asJSON {
		names := []string{}
		for _, p := range d.parts {
			names = append(names, p.name)
		}
		return printJSON(cmd.OutOrStdout(), map[string]any{"file": f.out, "bytes": n, "parts": names, "missing": append([]string{}, d.missing...)})
	}
	for _, m := range d.missing {
		progress("left out: %s", printable(m))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d parts, %d bytes. Look through it before you publish it.\n", f.out, len(d.parts), n)
	return err
}

// secretsOf finds what must not be in a dump: the long words of hexadecimal digits in the key files, which are keys or
// ciphertexts, in either case of their digits, and the first line of the password file.
func secretsOf(home string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	files, err := filepath.Glob(filepath.Join(home, "keys", "*"))
	if err != nil {
		return nil, err
	}
	words := regexp.MustCompile(fmt.Sprintf("[0-9a-fA-F]{%d,}", minSecretDigits))
	for _, path := range files {
		raw, err := readEnd(path, maxPartBytes)
		if err != nil {
			return nil, err
		}
		for _, word := range words.FindAllString(string(raw), -1) {
			out = append(out, regexp.MustCompile("(?i)"+word))
		}
	}
	password := passwordFile(home)
	if password == "" {
		return out, nil
	}
	raw, err := readEnd(password, maxPartBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	if line = strings.TrimSpace(line); line != "" {
		out = append(out, regexp.MustCompile(regexp.QuoteMeta(line)))
	}
	return out, err
}

// passwordFile is the one that a home's settings name, if they can be read: a configuration that is wrong may be what
// the report is about.
func passwordFile(home string) string {
	for _, load := range []func() (*config.Config, error){
		func() (*config.Config, error) { return config.Load(home, nil) },
		func() (*config.Config, error) { return config.LoadFile(home) },
	} {
		if c, err := load(); err == nil && c.Keys.PasswordFile != "" {
			return c.Keys.PasswordFile
		}
	}
	return ""
}

// readEnd reads the last bytes of a file.
func readEnd(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(max(0, info.Size()-most), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, most))
}

// secretSetting is the name of a setting whose value is left out.
var secretSetting = regexp.MustCompile(`(?i)password|secret|token|credential|private`)

// collectDisk takes what lies in the home.
func (f *dumpFlags) collectDisk(d *dump, home string) {
	settings, err := config.Explain(home, nil)
	for i := range settings {
		if secretSetting.MatchString(settings[i].Key) && settings[i].Value != `""` {
			settings[i].Value = "(left out)"
		}
	}
	d.addJSON("config.json", settings, err)
	genesis, err := readEnd(config.GenesisPath(home), maxPartBytes)
	d.add("genesis.json", genesis, err)
	names, err := listing(home)
	d.add("files.txt", names, err)
	log := f.log
	if log == "" {
		log = logPath(home)
	}
	end, err := readEnd(log, maxLogTail)
	if f.log == "" && errors.Is(err, fs.ErrNotExist) {
		err = errors.New("no log is known: name it with --log")
	}
	d.add("node.log", end, err)
	look := inspectFlags{home: home}
	var summary shown
	err = look.with(func(v *viewed) (err error) {
		summary, err = v.summary()
		return err
	})
	d.addJSON("inspect.json", summary, err)
}

// listing names the files of a home, with their modes, sizes and times. A file that goes away meanwhile is named with
// what is wrong.
func listing(home string) ([]byte, error) {
	var b bytes.Buffer
	err := filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if b.Len() > maxPartBytes {
			return fs.SkipAll
		}
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		if err != nil {
			_, err = fmt.Fprintf(&b, "%s: %v\n", path, err)
			return err
		}
		_, err = fmt.Fprintf(&b, "%s %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339), strings.TrimPrefix(path, home))
		return err
	})
	return b.Bytes(), err
}

// collectNode takes what the running node says.
func (f *dumpFlags) collectNode(cmd *cobra.Command, d *dump, home string) {
	rpc, ops := f.rpc, f.ops
	if c, err := config.Load(home, nil); err == nil {
		if !cmd.Flags().Changed("rpc") && os.Getenv("TERCET_URL") == "" {
			rpc = "http://" + c.RPC.Listen
		}
		if ops == "" {
			ops = "http://" + c.Ops.Listen
		}
	}
	for _, q := range []struct{ part, method string }{
		{"status.json", "tercet_status"},
		{"diagnosis.json", "tercet_diagnose"},
		{"validators.json", "tercet_validators"},
		{"evidence.json", "tercet_evidence"},
		{"pool.json", "txpool_status"},
	} {
		ctx, cancel := context.WithTimeout(cmd.Context(), partTimeout)
		var raw json.RawMessage
		err := askRPC(ctx, rpc, q.method, &raw, nil)
		cancel()
		d.addJSON(q.part, raw, err)
	}
	for _, q := range []struct{ part, path string }{
		{"ready.json", "/readyz"},
		{"metrics.txt", "/metrics"},
		{"goroutines.txt", "/debug/pprof/goroutine?debug=1"}, // with 2, arguments would be in it
		{"heap.pprof", "/debug/pprof/heap"},
	} {
		data, err := fetch(cmd.Context(), ops+q.path)
		d.add(q.part, data, err)
	}
}

// fetch gets a page of the operations listener, whatever its status.
func fetch(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(resp.Body, maxPartBytes+1))
}

// write makes the file, which only its owner reads, and returns its size.
func (d *dump) write(path string, now time.Time) (n int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("writing the dump: %w: name another file with --out", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zip := gzip.NewWriter(file)
	archive := tar.NewWriter(zip)
	for _, p := range d.parts {
		if err = archive.WriteHeader(&tar.Header{Name: "tercet-debug/" + p.name, Mode: 0o600, Size: int64(len(p.data)), ModTime: now}); err == nil {
			_, err = archive.Write(p.data)
		}
		if err != nil {
			return 0, fmt.Errorf("writing %s: %w", path, err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return 0, fmt.Errorf("writing %s: %w", path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("writing %s: %w", path, err)
	}
	return info.Size(), nil
}
