package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	shutdownGrace  = 2 * time.Second // for requests under way when Run is told to end
	headerTimeout  = 5 * time.Second // a client that sends no request is cut off
	answerTimeout  = 2 * time.Minute // above the longest profile worth taking
	idleTimeout    = time.Minute
	maxHeaderBytes = 16 << 10
	maxLevelBytes  = 256 // a level's name
	maxScrapes     = 4   // at once; further ones get 503
	scrapeTimeout  = 5 * time.Second
)

// Config is what the operations listener answers with.
type Config struct {
	Listen  string          // host:port; port 0 takes a free one
	Metrics *Metrics        // what /metrics shows
	Sample  func(*Metrics)  // refreshes the gauges before a scrape, one call at a time; nil for none
	Live    func() error    // nil, or why the process should be restarted; must not block
	Ready   func() []Reason // empty, or why requests should go elsewhere; must not block
	Level   *slog.LevelVar  // changed by /loglevel; nil: no such path
	Logger  *slog.Logger    // never nil
}

// A Reason is one cause of a node not being ready.
type Reason struct {
	Code    string `json:"code"`    // stable, snake_case, for machines: "no_quorum"
	Message string `json:"message"` // for people: what is wrong and what to do
}

// Server is the operations listener.
type Server struct {
	cfg      Config
	listener net.Listener
	server   *http.Server
}

// New binds the operations listener, so that a port in use is reported at once,
// and starts nothing. Either [Server.Run] or [Server.Close] must follow.
func New(cfg Config) (*Server, error) {
	if cfg.Metrics == nil || cfg.Live == nil || cfg.Ready == nil || cfg.Logger == nil {
		panic("metrics: incomplete Config")
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("binding the operations listener (ops.listen): %w", err)
	}
	s := &Server{cfg: cfg, listener: listener}
	s.server = &http.Server{
		// A web page in a browser on this machine must not change the log level.
		Handler:           http.NewCrossOriginProtection().Handler(s.routes()),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// URL returns where the listener answers, with the port in use.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Run serves until ctx ends, then lets requests under way finish for a moment.
// It returns nil when ctx ended.
func (s *Server) Run(ctx context.Context) error {
	s.server.ConnState = closeUnused(ctx)
	served := make(chan error, 1) // sent to once, by the goroutine below
	go func() { served <- s.server.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the operations listener: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := s.server.Shutdown(grace); err != nil {
		s.server.Close() // a profile still being taken
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the operations listener: %w", err)
	}
	return nil
}

// closeUnused is a ConnState hook that closes, when ctx ends, the connections which
// have not carried a request: [http.Server.Shutdown] would give each 5 s for its first.
func closeUnused(ctx context.Context) func(net.Conn, http.ConnState) {
	var unused sync.Map // net.Conn → func() bool, which lets it live
	return func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			unused.Store(c, context.AfterFunc(ctx, func() { c.Close() })) // nothing was sent on it
		} else if keep, found := unused.LoadAndDelete(c); found {
			keep.(func() bool)()
		}
	}
}

// Close releases the port of a server that was never run.
func (s *Server) Close() error { return s.listener.Close() }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics())
	if s.cfg.Level != nil {
		mux.HandleFunc("GET /loglevel", s.getLevel)
		mux.HandleFunc("PUT /loglevel", s.setLevel)
		mux.HandleFunc("POST /loglevel", s.setLevel)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", index)
	return mux
}

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "tercet operations\n\n/livez\n/readyz\n/metrics\n/loglevel\n/debug/pprof/\n") //nolint:errcheck // the client's loss
}

func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	if err := s.cfg.Live(); err != nil {
		s.answer(w, http.StatusServiceUnavailable, map[string]any{"live": false, "reason": err.Error()})
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"live": true})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	reasons := s.cfg.Ready()
	if len(reasons) > 0 {
		s.answer(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reasons": reasons})
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"ready": true, "reasons": []Reason{}})
}

func (s *Server) metrics() http.Handler {
	scrape := promhttp.HandlerFor(s.cfg.Metrics.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
	var sampling sync.Mutex // held during Sample
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Sample != nil {
			sampling.Lock()
			s.cfg.Sample(s.cfg.Metrics)
			sampling.Unlock()
		}
		scrape.ServeHTTP(w, r)
	})
}

func (s *Server) getLevel(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, map[string]any{"level": s.cfg.Level.Level().String()})
}

// setLevel takes the level as the body, plain or {"level": …}, or as ?level=.
func (s *Server) setLevel(w http.ResponseWriter, r *http.Request) {
	name, err := requestedLevel(w, r)
	if err == nil {
		var level slog.Level
		if err = level.UnmarshalText([]byte(name)); err == nil {
			s.cfg.Level.Set(level)
			s.cfg.Logger.Info("log level changed", "to", level.String())
			s.getLevel(w, r)
			return
		}
	}
	s.answer(w, http.StatusBadRequest, map[string]any{"error": err.Error(), "levels": []string{"debug", "info", "warn", "error"}})
}

func requestedLevel(w http.ResponseWriter, r *http.Request) (string, error) {
	if level := r.URL.Query().Get("level"); level != "" {
		return level, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLevelBytes))
	if err != nil {
		return "", fmt.Errorf("reading the level: %w", err)
	}
	text := strings.TrimSpace(string(body))
	if !strings.HasPrefix(text, "{") {
		if text == "" {
			return "", errors.New("no level given")
		}
		return text, nil
	}
	var request struct {
		Level string `json:"level"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return "", fmt.Errorf("decoding the level: %w", err)
	}
	return request.Level, nil
}

func (s *Server) answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.cfg.Logger.Debug("answering an operations request", "err", err)
	}
}
