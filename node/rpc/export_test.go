package rpc

import (
	"reflect"
	"slices"
	"strings"
)

// Methods are the names that clients call, sorted.
func Methods() []string {
	var names []string
	for prefix, api := range map[string]any{
		"eth": &ethAPI{}, "net": &netAPI{}, "web3": &web3API{}, "txpool": &txpoolAPI{}, "tercet": &tercetAPI{},
	} {
		for m := range reflect.TypeOf(api).Methods() {
			name := m.Name
			names = append(names, prefix+"_"+strings.ToLower(name[:1])+name[1:])
		}
	}
	slices.Sort(names)
	return names
}

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
