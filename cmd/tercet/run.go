package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/metrics"
)

func newRun() *cobra.Command {
	var home string
	var set []string
	var offset time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the node of a home directory",
		Long: `Run runs the node of a home until SIGINT or SIGTERM. It then stops in order: refuses
new requests, answers those in hand, stops voting, finishes the block in hand, closes
the databases. A second Ctrl-C ends it at once, which is as safe as a power cut: what
was acknowledged is on disk.

Only one process can run a home. Settings are those of config.toml; override one with
an environment variable (TERCET_LOG_LEVEL=debug) or --set. The log goes to standard
error, as text on a terminal and as JSON otherwise.`,
		Example: `  tercet run --home ./node
  tercet run --home ./node --set rpc.listen=127.0.0.1:9000 --set log.level=debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, flags, err := homeAndSet(home, set)
			if err != nil {
				return err
			}
			cfg, err := config.Load(home, flags)
			if err != nil {
				return err
			}
			if err := checkOffset(home, offset); err != nil {
				return err
			}
			return runNodeAt(cmd.Context(), cfg, offset, nil)
		},
	}
	cmd.Flags().DurationVar(&offset, "unsafe-clock-offset", 0, "")
	_ = cmd.Flags().MarkHidden("unsafe-clock-offset") // it exists: docs/operations.md documents it
	homeFlag(cmd, &home)
	setFlag(cmd, &set)
	return cmd
}

// checkOffset refuses a wrong clock where it could do harm: it is for networks whose keys are public.
func checkOffset(home string, offset time.Duration) error {
	if offset == 0 {
		return nil
	}
	g, err := node.ReadGenesis(home)
	if err != nil {
		return err
	}
	accounts, err := devAccounts()
	if err != nil {
		return err
	}
	if offset.Abs() > time.Hour {
		return usage("--unsafe-clock-offset %v: at most an hour", offset)
	}
	for _, a := range g.Alloc {
		if a.Address == common.HexToAddress(accounts[0].Address) {
			return nil
		}
	}
	return usage("--unsafe-clock-offset is for test networks: the genesis of %s does not fund the public development accounts", home)
}

// runNode runs the node of cfg until a signal ends it. Opened, if set, is called
// beside the running node once its ports are bound.
func runNode(ctx context.Context, cfg *config.Config, opened func(ctx context.Context, rpcURL, opsURL string)) error {
	return runNodeAt(ctx, cfg, 0, opened)
}

// runNodeAt is runNode with the wall clock of consensus shifted.
func runNodeAt(ctx context.Context, cfg *config.Config, clockOffset time.Duration, opened func(ctx context.Context, rpcURL, opsURL string)) error {
	unlock, err := lockHome(cfg.Home)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, again, stop := stopOnSignal(ctx)
	defer stop()
	go func() {
		if _, ok := <-again; ok {
			os.Exit(exitForced)
		}
	}()
	logger, level := newLogger(cfg.Log)
	b := readBuild()
	faucet, err := faucetKey()
	if err != nil {
		return err
	}
	n, err := node.New(cfg, node.Options{
		Logger: logger, Level: level, ClockOffset: clockOffset, FaucetKey: faucet,
		Build: metrics.Build{Version: b.Version, Commit: b.Commit, Go: b.Go, Secp256k1: b.Signatures},
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return inUse("%w: stop what listens there, or choose another address with --set rpc.listen, ops.listen or p2p.listen", err)
	}
	if err != nil {
		return err
	}
	if opened != nil {
		ctx, done := context.WithCancel(ctx)
		finished := make(chan struct{}) // closed by the goroutine
		go func() {
			defer close(finished)
			opened(ctx, n.RPCURL(), n.OpsURL())
		}()
		defer func() { done(); <-finished }()
	}
	return n.Run(ctx)
}

// stopOnSignal ends ctx at the first SIGINT, SIGTERM or SIGHUP and passes the next
// ones to again, which stop closes.
func stopOnSignal(parent context.Context) (ctx context.Context, again <-chan os.Signal, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2) // from package signal, which drops what does not fit
	later := make(chan os.Signal, 1)   // from the goroutine, which drops what does not fit
	ended, finished := make(chan struct{}), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		defer close(finished)
		defer close(later)
		for {
			select {
			case s := <-signals:
				if ctx.Err() == nil {
					cancel()
					continue
				}
				select {
				case later <- s:
				default:
				}
			case <-ended:
				return
			}
		}
	}()
	return ctx, later, func() {
		signal.Stop(signals)
		close(ended)
		<-finished
		cancel()
	}
}

// newLogger writes to standard error at a level that can change at run time.
func newLogger(c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	switch c.Level {
	case "debug":
		level.Set(slog.LevelDebug)
	case "warn":
		level.Set(slog.LevelWarn)
	case "error":
		level.Set(slog.LevelError)
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" || c.Format == "auto" && !isTerminal(os.Stderr) {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), level
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts)), level
}
