// conformance compiles OPA's own conformance cases to Wasm, each with the built-ins that a capabilities file allows, and
// writes them as one zstd stream for test/conformance: conformance -capabilities FILE -cases DIR > FILE
//
// A case is three frames, each a big-endian uint32 length and that many bytes: a JSON object (type header), then the module and the
// plan that it was made of, as JSON, which are empty when the case did not compile.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/test/cases"
)

// header says of one case what the runner needs. Documents are JSON texts, so that numbers stay as they are written.
type header struct {
	Name         string `json:"name"` // v1/time/now: unique after numbering repeated ones
	File         string `json:"file"`
	Data         string `json:"data,omitempty"`
	Input        string `json:"input,omitempty"`
	WantResult   string `json:"want_result,omitempty"`
	WantDefined  *bool  `json:"want_defined,omitempty"`
	WantError    bool   `json:"want_error"`
	WantCode     string `json:"want_code,omitempty"`
	StrictError  bool   `json:"strict_error"`
	SortBindings bool   `json:"sort_bindings"`
	IgnoreLocals bool   `json:"ignore_locals"`
	CompileError string `json:"compile_error,omitempty"`
}

type job struct {
	header  header
	tc      cases.TestCase
	version ast.RegoVersion
}

type result struct {
	header []byte
	module []byte
	plan   []byte
}

func main() {
	capabilities := flag.String("capabilities", "", "capabilities file: the built-ins that cases may use")
	root := flag.String("cases", "", "folder with v0 and v1")
	flag.Parse()
	rego.RegisterPlugin("rego.target.plan", planTarget{})
	if err := run(*capabilities, *root); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(capabilitiesFile, root string) error {
	jobs, err := load(root)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(capabilitiesFile)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	// The modules share most of their bytes with the one before: a window that holds several makes them nearly vanish.
	z, err := zstd.NewWriter(out, zstd.WithWindowSize(8<<20), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return err
	}
	results := make([]chan result, len(jobs))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	slots := make(chan struct{}, 2*runtime.NumCPU())
	var failed error
	var once sync.Once
	go func() {
		for i := range jobs {
			slots <- struct{}{}
			go func() {
				r, err := compile(jobs[i], text)
				if err != nil {
					once.Do(func() { failed = fmt.Errorf("%s: %w", jobs[i].header.Name, err) })
				}
				results[i] <- r
			}()
		}
	}()
	for _, waiting := range results {
		r := <-waiting
		<-slots
		if failed != nil {
			return failed
		}
		for _, part := range [][]byte{r.header, r.module, r.plan} {
			if err := binary.Write(z, binary.BigEndian, uint32(len(part))); err != nil {
				return err
			}
			if _, err := io.Copy(z, strings.NewReader(string(part))); err != nil {
				return err
			}
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// load reads the cases of both versions of Rego in a fixed order and gives each a name of its own.
func load(root string) ([]job, error) {
	var jobs []job
	seen := map[string]int{}
	for _, v := range []struct {
		name    string
		version ast.RegoVersion
	}{{"v0", ast.RegoV0}, {"v1", ast.RegoV1}} {
		set, err := cases.Load(filepath.Join(root, v.name))
		if err != nil {
			return nil, err
		}
		for _, tc := range set.Sorted().Cases {
			name := v.name + "/" + tc.Note
			seen[name]++
			if n := seen[name]; n > 1 {
				name = fmt.Sprintf("%s (%d)", name, n)
			}
			file, err := filepath.Rel(root, tc.Filename)
			if err != nil {
				return nil, err
			}
			jobs = append(jobs, job{header{Name: name, File: file}, tc, v.version})
		}
	}
	return jobs, nil
}

func compile(j job, capabilities []byte) (result, error) {
	h, tc := j.header, j.tc
	caps, err := ast.LoadCapabilitiesJSON(strings.NewReader(string(capabilities)))
	if err != nil {
		return result{}, err
	}
	if tc.ExperimentalKeywords {
		caps.FutureKeywords = ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(true)).FutureKeywords
	}
	h.StrictError, h.SortBindings, h.IgnoreLocals = tc.StrictError, tc.SortBindings, tc.IgnoreGeneratedVars
	h.WantDefined = tc.WantDefined
	h.WantError = tc.WantError != nil || tc.WantErrorCode != nil
	if tc.WantErrorCode != nil {
		h.WantCode = *tc.WantErrorCode
	}
	for _, document := range []struct {
		to    *string
		given bool
		value any
	}{{&h.Data, tc.Data != nil, tc.Data}, {&h.Input, tc.Input != nil, tc.Input}, {&h.WantResult, tc.WantResult != nil, tc.WantResult}} {
		if !document.given {
			continue
		}
		text, err := json.Marshal(document.value)
		if err != nil {
			return result{}, err
		}
		*document.to = string(text)
	}
	query := tc.Query
	if tc.InputTerm != nil {
		h.Input = ""
		term, err := ast.ParseTerm(*tc.InputTerm)
		if err != nil {
			return result{}, err
		}
		if text, err := asJSON(term); err == nil {
			h.Input = text
		} else {
			// Sealgate's input is always JSON; a term that is not (a set) is given in the query.
			query = fmt.Sprintf("%s with input as %s", query, term)
		}
	}
	options := []func(*rego.Rego){
		rego.Query(query), rego.SetRegoVersion(j.version), rego.Capabilities(caps), rego.EnablePrintStatements(true),
	}
	for i, module := range tc.Modules {
		options = append(options, rego.Module(fmt.Sprintf("module-%d.rego", i), module))
	}
	var module, plan []byte
	compiled, err := rego.New(options...).Compile(context.Background())
	if err != nil {
		h.CompileError = err.Error()
	} else {
		module = compiled.Bytes
		if plan, err = planOf(options); err != nil {
			return result{}, err
		}
	}
	text, err := json.Marshal(h)
	return result{text, module, plan}, err
}

// planTarget is a target of OPA that has the plan and evaluates nothing.
type planTarget struct{}

func (planTarget) IsTarget(name string) bool { return name == "plan" }

func (planTarget) PrepareForEval(ctx context.Context, policy *ir.Policy, _ ...rego.PrepareOption) (rego.TargetPluginEval, error) {
	text, err := json.Marshal(policy)
	*ctx.Value(planKey{}).(*[]byte) = text
	return nil, err
}

// planKey is where the context has the place for the plan.
type planKey struct{}

// planOf gives the plan of the query, which is the same for any target.
func planOf(options []func(*rego.Rego)) ([]byte, error) {
	var plan []byte
	ctx := context.WithValue(context.Background(), planKey{}, &plan)
	_, err := rego.New(append(options, rego.Target("plan"))...).PrepareForEval(ctx)
	return plan, err
}

// asJSON gives the term as JSON, or an error when that would change it.
func asJSON(term *ast.Term) (string, error) {
	value, err := ast.JSON(term.Value)
	if err != nil {
		return "", err
	}
	back, err := ast.InterfaceToValue(value)
	if err != nil {
		return "", err
	}
	if back.Compare(term.Value) != 0 {
		return "", fmt.Errorf("%s is not JSON", term)
	}
	text, err := json.Marshal(value)
	return string(text), err
}
