// Package metrics tells operators and their tools how a node is doing.
//
// [Metrics] is the set of measurements of one node, on a registry of its own:
// several nodes in one process do not see each other's. Nothing else in the
// module names Prometheus; who measures something gets a [Metrics] and calls the
// field. [Server] answers on the operations listener, which is meant for the
// machine itself or a trusted network and has no authentication:
//
//	GET  /livez          200, or 503 with the reason: restart me
//	GET  /readyz         200, or 503 with reasons: do not send me requests
//	GET  /metrics        Prometheus text format
//	GET  /debug/pprof/   Go profiles
//	GET  /loglevel       the level; PUT or POST sets it until the next start
//
// docs/grafana.json shows them all, docs/alerts.yml has rules over them; a test compares the names.
//
// The split of liveness and readiness is that of Kubernetes: a node that waits
// for its peers is alive and not ready, and restarting it would help nobody.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics holds the measurements of one node. Its fields are safe for concurrent
// use. Gauges are refreshed by [Config.Sample] before each scrape; counters and
// histograms are fed as things happen. The Help texts are the reference.
type Metrics struct {
	// Consensus.
	Epoch        prometheus.Gauge // current epoch
	View         prometheus.Gauge // current view in the epoch
	FinalHeight  prometheus.Gauge // highest block that consensus finalized
	IsLeader     prometheus.Gauge // 1 while this node leads the current view
	VotesStopped prometheus.Gauge // 1 while a storage error or amnesia keeps this validator from voting
	Evidence     prometheus.Gauge // kept proofs that validators signed votes which exclude each other

	// Ledger.
	ExecutedHeight  prometheus.Gauge       // highest executed block, synced to disk
	CertifiedHeight prometheus.Gauge       // highest block with a certificate over its result
	IndexedHeight   prometheus.Gauge       // highest block in the index
	Blocks          prometheus.Counter     // blocks executed by this process
	Transactions    prometheus.Counter     // transactions executed by this process
	Drops           *prometheus.CounterVec // by reason: ordered, but did not fit at execution
	Gas             prometheus.Counter     // gas used by executed transactions
	BlockDelay      prometheus.Histogram   // seconds from a non-empty block's own time until its receipts were visible here
	BlockSize       prometheus.Histogram   // transactions per non-empty block

	// Transaction pool.
	PoolTransactions prometheus.Gauge // transactions in the pool
	PoolBytes        prometheus.Gauge // their encoded size

	// Peers.
	PeersConfigured prometheus.Gauge       // peers in the roster, this node aside
	PeersConnected  prometheus.Gauge       // of these, connected
	PeerInvalid     *prometheus.CounterVec // by peer name: frames that no honest peer sends
	QueueDrops      *prometheus.CounterVec // by peer name: frames not sent because the peer's queue was full

	// The node's own judgement and its disk.
	Findings    *prometheus.GaugeVec // by cause and severity: how many tercet_diagnose has
	JournalSync prometheus.Observer  // seconds of each synced write of the safety journal
	StoreSync   prometheus.Observer  // seconds of each synced write of the databases
	DiskFree    prometheus.Gauge     // bytes free for the data directory

	registry *prometheus.Registry
}

// Build says what is running; all fields become labels of tercet_build_info.
type Build struct {
	Version   string // of the release, or "dev"
	Commit    string // short, with "-dirty" when the tree was
	Go        string // runtime.Version
	Secp256k1 string // the signature backend in use
}

// NewMetrics returns the measurements of one node, all zero, together with those
// that the Go runtime and the operating system keep of the process.
func NewMetrics(build Build) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{
		Epoch:        gauge(r, "consensus_epoch", "Current epoch."),
		View:         gauge(r, "consensus_view", "Current view in the epoch."),
		FinalHeight:  gauge(r, "consensus_final_height", "Highest block that consensus finalized."),
		IsLeader:     gauge(r, "consensus_leader", "1 while this node leads the current view."),
		VotesStopped: gauge(r, "consensus_votes_stopped", "1 while this validator does not vote, because of a storage error or after a loss of its journal: read its log."),
		Evidence:     gauge(r, "consensus_evidence", "Kept proofs that validators signed votes which exclude each other: see tercet_evidence."),

		ExecutedHeight:  gauge(r, "ledger_executed_height", "Highest executed block, synced to disk on this node."),
		CertifiedHeight: gauge(r, "ledger_certified_height", "Highest block whose result a quorum has signed."),
		IndexedHeight:   gauge(r, "ledger_indexed_height", "Highest block in the index of hashes."),
		Blocks:          counter(r, "ledger_blocks_total", "Blocks executed by this process."),
		Transactions:    counter(r, "ledger_transactions_total", "Transactions executed by this process."),
		Drops:           counters(r, "ledger_drops_total", "Transactions that were ordered but did not fit when executed.", "reason"),
		Gas:             counter(r, "ledger_gas_total", "Gas used by executed transactions."),
		BlockDelay: histogram(r, "ledger_block_delay_seconds", "From a non-empty block's own time until its receipts were visible on this node.",
			[]float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10}),
		BlockSize: histogram(r, "ledger_block_transactions", "Transactions per non-empty block.",
			prometheus.ExponentialBuckets(1, 2, 14)),

		PoolTransactions: gauge(r, "pool_transactions", "Transactions waiting in the pool."),
		PoolBytes:        gauge(r, "pool_bytes", "Encoded size of the transactions in the pool."),

		PeersConfigured: gauge(r, "peers_configured", "Peers in the roster, this node aside."),
		PeersConnected:  gauge(r, "peers_connected", "Peers connected."),
		PeerInvalid:     counters(r, "peer_invalid_total", "Frames that no honest peer sends.", "peer"),
		QueueDrops:      counters(r, "peer_queue_drops_total", "Frames not sent because the peer's queue was full.", "peer"),

		Findings:    gauges(r, "findings", "Findings of tercet_diagnose: docs/operations.md explains each.", "cause", "severity"),
		JournalSync: histogram(r, "journal_sync_seconds", "Synced writes of the safety journal, one before every vote.", syncBuckets()),
		StoreSync:   histogram(r, "store_sync_seconds", "Synced writes of the databases.", syncBuckets()),
		DiskFree:    gauge(r, "disk_free_bytes", "Room left for the data directory."),

		registry: r,
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{
			"version": build.Version, "commit": build.Commit, "go": build.Go, "secp256k1": build.Secp256k1,
		},
	})
	info.Set(1)
	r.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

const namespace = "tercet"

func gauge(r *prometheus.Registry, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	r.MustRegister(g)
	return g
}

func gauges(r *prometheus.Registry, name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

// syncBuckets go from a fast disk to one that stands.
func syncBuckets() []float64 {
	return []float64{0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5}
}

func counter(r *prometheus.Registry, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	r.MustRegister(c)
	return c
}

func counters(r *prometheus.Registry, name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{label})
	r.MustRegister(c)
	return c
}

func histogram(r *prometheus.Registry, name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	r.MustRegister(h)
	return h
}
