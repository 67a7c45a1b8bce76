package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Handler is what the server serves, without its listener.
func (s *Server) Handler() http.Handler { return s.server.Handler }

// Gatherer is where everything is registered.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
