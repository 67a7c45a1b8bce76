package metrics_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tercet-chain/tercet/node/metrics"
)

// registered are the names that a node can expose, histograms by their series.
func registered(t *testing.T) []string {
	t.Helper()
	m := metrics.NewMetrics(metrics.Build{})
	for _, f := range reflect.ValueOf(m).Elem().Fields() {
		if !f.CanInterface() {
			continue
		}
		if v, ok := reflect.TypeAssert[*prometheus.CounterVec](f); ok {
			v.WithLabelValues("x") // one without a value exposes nothing
		}
		if v, ok := reflect.TypeAssert[*prometheus.GaugeVec](f); ok {
			v.WithLabelValues("x", "x")
		}
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		if f.GetType().String() == "HISTOGRAM" {
			names = append(names, f.GetName()+"_bucket", f.GetName()+"_sum", f.GetName()+"_count")
		}
	}
	return names
}

// known checks the metrics of a PromQL expression, and that its brackets match.
func known(t *testing.T, where, expression string, names []string) {
	t.Helper()
	for _, name := range regexp.MustCompile(`\b(tercet|go|process)_[a-z_]+`).FindAllString(expression, -1) {
		if !slices.Contains(names, name) {
			t.Errorf("%s: no metric %s", where, name)
		}
	}
	var open []rune
	for _, r := range expression {
		if at := strings.IndexRune("([{", r); at >= 0 {
			open = append(open, rune(")]}"[at]))
		}
		if strings.ContainsRune(")]}", r) {
			if len(open) == 0 || open[len(open)-1] != r {
				t.Fatalf("%s: brackets of %s", where, expression)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 || strings.Count(expression, `"`)%2 != 0 || expression == "" {
		t.Errorf("%s: %q does not end", where, expression)
	}
}

func TestDashboard_namesWhatThereIs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID          int
			Title, Type string
			GridPos     struct{ H, W, X, Y int }
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	names, shown := registered(t), ""
	for i, p := range dashboard.Panels {
		if p.ID != i+1 || p.GridPos.X+p.GridPos.W > 24 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: %+v", i, p.Title, p)
		}
		for _, target := range p.Targets {
			known(t, p.Title, target.Expr, names)
			shown += target.Expr + "\n"
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "tercet_") && name != "tercet_build_info" && !strings.Contains(shown, name) && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestAlerts_nameWhatThereIs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := registered(t)
	rules := strings.Split(string(raw), "      - alert: ")[1:]
	if len(rules) < 10 {
		t.Fatalf("%d rules", len(rules))
	}
	for _, rule := range rules {
		name, body, _ := strings.Cut(rule, "\n")
		if !regexp.MustCompile(`^Tercet[A-Z][A-Za-z]+$`).MatchString(name) || strings.Contains(body, "\t") {
			t.Errorf("rule %q", name)
		}
		for _, field := range []string{"labels: {severity: (critical|warning)}", "  summary: \".+\"", "  description: \".+\\.\""} {
			if !regexp.MustCompile(`(?m)^        ` + field + `$`).MatchString(body) {
				t.Errorf("%s has no line %s", name, field)
			}
		}
		expression := regexp.MustCompile(`(?m)^        expr: (.+)$`).FindStringSubmatch(body)
		if expression == nil {
			t.Errorf("%s has no expression", name)
			continue
		}
		known(t, name, expression[1], names)
	}
}
