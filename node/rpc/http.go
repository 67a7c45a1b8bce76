package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// request is what the methods know about the HTTP request that they answer.
type request struct {
	hold   *hold
	slot   *slot
	turn   *turn // nil where the transport has none
	single bool  // not a batch
	nowait bool  // ?sendwait=0
	large  *largeAnswer
}

type requestKey struct{}

// requestOf returns the HTTP request of a method's context; a zero one for other transports.
func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// idle gives the right to work back before a long wait.
func (r request) idle() {
	r.hold.release()
	if r.slot != nil {
		r.slot.release()
	}
}

// waiting lets others have the processor until the function that it returns is called.
func (r request) waiting(ctx context.Context) (resume func()) {
	if r.turn == nil || !r.turn.pause() { // there is none, or who called this waits already
		return func() {}
	}
	return func() { r.turn.resume(ctx) }
}

// Handler answers HTTP requests. Transactions are decoded only while [Server.Run] runs.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.hostAllowed(r.Host) {
		http.Error(w, "invalid host specified: use an IP address or localhost, or add the name to the configuration", http.StatusForbidden)
		return
	}
	if s.cors(w, r) {
		return
	}
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.local.Add(1)
		defer s.local.Done()
		s.upgrade(w, r)
		return
	}
	if r.Method == http.MethodGet && r.URL.Path == "/events" {
		s.serveEvents(w, r)
		return
	}
	if r.Method != http.MethodPost {
		s.registry.ServeHTTP(w, r) // health checks, and the refusal of other methods
		return
	}
	body, ok := s.read(w, r)
	if !ok {
		return
	}
	s.handle(w, r, body, r.URL.Query().Get("sendwait") == "0", nil)
}

// handle answers a request whose body is read. Where answered is given, w keeps the answer, and answered sends it while
// the request has its right to an answer of that size.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, body []byte, nowait bool, answered func()) {
	if answered == nil {
		answered = func() {}
	}
	hold := s.developer.hold()
	defer hold.release()
	slot := s.work.enter(r.Context())
	if slot == nil {
		refuseBusy(w, body)
		answered()
		return
	}
	defer slot.release()
	large := &largeAnswer{gate: s.large}
	defer large.release()
	turn := &turn{gate: s.processors}
	if !turn.begin(r.Context()) {
		refuseBusy(w, body)
		answered()
		return
	}
	defer turn.end()
	about := request{hold: hold, slot: slot, turn: turn, large: large, single: !isBatch(body), nowait: nowait}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, about))
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	s.registry.ServeHTTP(&answering{w, turn, hold}, r)
	turn.end()
	answered()
}

// read returns the body, or answers why not. It holds no right to work: a client may take its time.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if r.ContentLength > int64(s.cfg.MaxBodyBytes) {
		http.Error(w, "content length too large ("+strconv.FormatInt(r.ContentLength, 10)+">"+strconv.Itoa(s.cfg.MaxBodyBytes)+")",
			http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		select {
		case s.body <- struct{}{}:
			defer func() { <-s.body }()
		case <-r.Context().Done():
			return nil, false
		}
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), smallBody)) + bytes.MinRead)
	n, err := body.ReadFrom(io.LimitReader(r.Body, int64(s.cfg.MaxBodyBytes)+1))
	switch {
	case n > int64(s.cfg.MaxBodyBytes):
		http.Error(w, "content length too large (>"+strconv.Itoa(s.cfg.MaxBodyBytes)+")", http.StatusRequestEntityTooLarge)
		return nil, false
	case err != nil:
		http.Error(w, "read error", http.StatusBadRequest)
		return nil, false
	}
	return body.Bytes(), true
}

func isBatch(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// refuseBusy answers every call of a request with the error for an exhausted budget.
func refuseBusy(w http.ResponseWriter, body []byte) {
	type call struct {
		ID json.RawMessage `json:"id"`
	}
	type failure struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	type answer struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   failure         `json:"error"`
	}
	refusal := failure{codeLimit, busy("too many requests at once").Error()}
	reply := func(c call) answer {
		if len(c.ID) == 0 {
			c.ID = json.RawMessage("null")
		}
		return answer{"2.0", c.ID, refusal}
	}
	var (
		one call
		all []call
		out any
	)
	switch {
	case len(body) > smallBody: // not worth the work now
		out = reply(call{})
	case isBatch(body):
		if json.Unmarshal(body, &all) != nil || len(all) == 0 {
			out = reply(call{})
			break
		}
		answers := make([]answer, len(all))
		for i := range all {
			answers[i] = reply(all[i])
		}
		out = answers
	default:
		if json.Unmarshal(body, &one) != nil {
			one = call{}
		}
		out = reply(one)
	}
	encoded, err := json.Marshal(out)
	if err != nil {
		panic("rpc: a refusal does not encode: " + err.Error()) // the ids are JSON that was decoded
	}
	w.Header().Set("content-type", "application/json")
	_, _ = w.Write(encoded) // fails when the client is gone
}

// hostAllowed is the defence against DNS rebinding: a web page can point its own name at this machine,
// but not an IP address or localhost.
func (s *Server) hostAllowed(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	return name == "" || name == "localhost" || net.ParseIP(name) != nil ||
		slices.Contains(s.cfg.Hosts, "*") || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// cors answers a browser's preflight and reports that it did. Other requests get the header that lets
// the page see the answer.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (done bool) {
	origin := r.Header.Get("Origin")
	if origin != "" {
		w.Header().Add("Vary", "Origin")
	}
	if origin != "" && (slices.Contains(s.cfg.CORS, "*") || slices.Contains(s.cfg.CORS, origin)) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "POST, GET")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
			w.Header().Set("Access-Control-Max-Age", "600")
		}
	}
	if r.Method != http.MethodOptions {
		return false
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
