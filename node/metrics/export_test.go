package metrics

import "net/http"

// Handler is what the server serves, without its listener.
func (s *Server) Handler() http.Handler { return s.server.Handler }
