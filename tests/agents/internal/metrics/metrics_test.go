package metrics

import (
	"net"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"
)

// sent runs use with a client of the form, and returns the lines that came of it, sorted.
func sent(t *testing.T, form string, use func(*Client)) []string {
	bridge, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer bridge.Close()
	client, err := Dial(form, bridge.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	use(client)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	// What the client has sent is in the queue of the socket by now; this comes behind it.
	end, err := net.Dial("udp", bridge.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	if _, err := end.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	var lines []string
	datagram := make([]byte, 65536)
	for {
		n, _, err := bridge.ReadFrom(datagram)
		if err != nil {
			t.Fatal(err)
		}
		if string(datagram[:n]) == "end" {
			sort.Strings(lines)
			return lines
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(datagram[:n]), "\n"), "\n")...)
	}
}

func TestLines(t *testing.T) {
	use := map[string]func(*Client){
		"counter":  func(c *Client) { c.Counter("n", "a", "b").Add(3, "x", "y") },
		"gauge":    func(c *Client) { g := c.Gauge("n"); g.Set(2.5); g.Add(2); g.Add(-0.5) },
		"duration": func(c *Client) { c.Duration("n", "a").Observe(1500*time.Microsecond, "x") },
		"escapes":  func(c *Client) { c.Counter("n", "a").Add(1, "a.b:c,d|e#f[g]\nh") },
		"empty":    func(c *Client) { c.Counter("n", "a", "b").Add(1, "", "y") },
	}
	for _, row := range []struct {
		form, use string
		lines     []string
	}{
		{"tags", "counter", []string{"n:3|c|#a:x,b:y"}},
		{"plain", "counter", []string{"n.x.y:3|c"}},
		// One client sends the last value of an interval, the other all of them.
		{"tags", "gauge", []string{"n:4|g"}},
		{"plain", "gauge", []string{"n:2.5|g", "n:4.5|g", "n:4|g"}},
		{"tags", "duration", []string{"n:1.500000|ms|#a:x"}},
		{"plain", "duration", []string{"n.x:1.5|ms"}},
		{"tags", "escapes", []string{"n:1|c|#a:a.b:c_d_e#f[g]_h"}},
		{"plain", "escapes", []string{"n.a_b_c_d_e_f_g__h:1|c"}},
		{"tags", "empty", []string{"n:1|c|#a:,b:y"}},
		{"plain", "empty", []string{"n..y:1|c"}},
	} {
		t.Run(row.form+" "+row.use, func(t *testing.T) {
			if got := sent(t, row.form, use[row.use]); !reflect.DeepEqual(got, row.lines) {
				t.Errorf("want %q, got %q", row.lines, got)
			}
		})
	}
}

// The values of a gauge belong to its labels.
func TestGaugesWithLabels(t *testing.T) {
	got := sent(t, "tags", func(c *Client) {
		g := c.Gauge("n", "a", "b")
		g.Add(1, "x", "y")
		g.Add(1, "x", "z")
		g.Add(1, "x", "y")
	})
	if want := []string{"n:1|g|#a:x,b:z", "n:2|g|#a:x,b:y"}; !reflect.DeepEqual(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestOtherLabelsThanDeclared(t *testing.T) {
	client, err := Dial("tags", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	counter, gauge, duration := client.Counter("n", "a"), client.Gauge("n", "a"), client.Duration("n", "a")
	for name, use := range map[string]func(){
		"none":     func() { counter.Add(1) },
		"too many": func() { counter.Add(1, "x", "y") },
		"gauge":    func() { gauge.Set(1) },
		"duration": func() { duration.Observe(time.Second, "x", "y") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if said, _ := recover().(string); !strings.HasPrefix(said, `n has the labels ["a"], and got the values [`) {
					t.Errorf("said %q", said)
				}
			}()
			use()
		})
	}
}

func TestUnknownForm(t *testing.T) {
	for _, form := range []string{"", "dots", "Tags"} {
		if _, err := Dial(form, "127.0.0.1:9"); err == nil || !strings.Contains(err.Error(), "tags or plain") {
			t.Errorf("%q: %v", form, err)
		}
	}
}
