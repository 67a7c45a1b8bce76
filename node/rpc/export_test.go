package rpc

import (
	"maps"
	"slices"
)

// Methods are the names that clients call, sorted.
func (s *Server) Methods() []string {
	var names []string
	for _, m := range methods(s.apis) {
		names = append(names, m.name)
	}
	return names
}

// Summarised are the methods that rpc_discover has a text for.
func Summarised() []string { return slices.Sorted(maps.Keys(summaries)) }

// HoldLargeAnswers takes all places for large answers, as readers do who take their time.
func (s *Server) HoldLargeAnswers() (release func()) {
	for range cap(s.large.slots) {
		s.large.slots <- struct{}{}
	}
	return func() {
		for range cap(s.large.slots) {
			<-s.large.slots
		}
	}
}

// LogList is logs as answers have them.
type LogList = logList
