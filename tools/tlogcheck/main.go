// Tlogcheck lets independent implementations of transparency logs judge what Sealgate's src/tlog made, and make what
// src/tlog must accept: golang.org/x/mod/sumdb (note, tlog: the code behind the Go checksum database) and
// filippo.io/torchwood (C2SP checkpoints, cosignatures, proofs and tiles).
//
// It reads a JSON array of requests on standard input and writes a JSON array of answers, one for each. An answer has an
// "error" where the implementation refused the input.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// request is the union of what the operations take; []byte is base64 in JSON.
type request struct {
	Op     string            `json:"op"`
	Note   string            `json:"note"`
	Text   string            `json:"text"`
	Vkeys  []string          `json:"vkeys"`
	Name   string            `json:"name"`
	Seed   []byte            `json:"seed"`
	Origin string            `json:"origin"`
	Extra  []byte            `json:"extra"`
	Bundle []byte            `json:"bundle"`
	Leaf   []byte            `json:"leaf"`
	Leaves [][]byte          `json:"leaves"`
	Proof  [][]byte          `json:"proof"`
	Root   []byte            `json:"root"`
	Root2  []byte            `json:"root2"`
	Size   int64             `json:"size"`
	Size2  int64             `json:"size2"`
	Index  int64             `json:"index"`
	Tiles  map[string][]byte `json:"tiles"`
}

type answer map[string]any

var operations = map[string]func(request) (answer, error){
	"open":             open,
	"openCheckpoint":   openCheckpoint,
	"sign":             sign,
	"cosign":           cosign,
	"tree":             tree,
	"checkInclusion":   checkInclusion,
	"checkConsistency": checkConsistency,
	"verifyProof":      verifyProof,
	"formatProof":      formatProof,
	"tiles":            tiles,
	"readTiles":        readTiles,
	"bundle":           bundle,
	"readBundle":       readBundle,
}

func main() {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		fmt.Fprintln(os.Stderr, "tlogcheck: reading requests:", err)
		os.Exit(1)
	}
	answers := make([]answer, 0, len(requests))
	for _, r := range requests {
		operation, ok := operations[r.Op]
		if !ok {
			fmt.Fprintf(os.Stderr, "tlogcheck: no operation is called %q\n", r.Op)
			os.Exit(1)
		}
		a, err := operation(r)
		if err != nil {
			a = answer{"error": err.Error()}
		}
		answers = append(answers, a)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, "tlogcheck: writing answers:", err)
		os.Exit(1)
	}
}

// verifiers makes a verifier of each vkey, of a note key or of a cosigner, by its type.
func verifiers(vkeys []string) ([]note.Verifier, error) {
	var list []note.Verifier
	for _, vkey := range vkeys {
		if v, err := note.NewVerifier(vkey); err == nil {
			list = append(list, v)
			continue
		}
		v, err := torchwood.NewCosignatureVerifier(vkey)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// policy wants the signatures of all keys.
func policy(r request) (torchwood.Policy, error) {
	list, err := verifiers(r.Vkeys)
	if err != nil {
		return nil, err
	}
	var policies []torchwood.Policy
	for _, v := range list {
		policies = append(policies, torchwood.SingleVerifierPolicy(v))
	}
	if r.Origin != "" {
		policies = append(policies, torchwood.OriginPolicy(r.Origin))
	}
	return torchwood.ThresholdPolicy(len(policies), policies...), nil
}

func open(r request) (answer, error) {
	list, err := verifiers(r.Vkeys)
	if err != nil {
		return nil, err
	}
	n, err := note.Open([]byte(r.Note), note.VerifierList(list...))
	if err != nil {
		return nil, err
	}
	verified, unverified := []string{}, []string{}
	for _, s := range n.Sigs {
		verified = append(verified, s.Name)
	}
	for _, s := range n.UnverifiedSigs {
		unverified = append(unverified, s.Name)
	}
	return answer{"text": n.Text, "verified": verified, "unverified": unverified}, nil
}

func openCheckpoint(r request) (answer, error) {
	p, err := policy(r)
	if err != nil {
		return nil, err
	}
	c, n, err := torchwood.VerifyCheckpoint([]byte(r.Note), p)
	if err != nil {
		return nil, err
	}
	times := []int64{}
	for _, s := range n.Sigs {
		if t, err := torchwood.CosignatureTimestamp(s); err == nil {
			times = append(times, t)
		}
	}
	return answer{"origin": c.Origin, "size": c.N, "root": c.Hash[:], "extension": c.Extension, "times": times}, nil
}

func sign(r request) (answer, error) {
	key := ed25519.NewKeyFromSeed(r.Seed)
	vkey, err := note.NewEd25519VerifierKey(r.Name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", r.Name, v.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{1}, r.Seed...)))
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: r.Text}, signer)
	return answer{"note": string(signed), "vkey": vkey}, err
}

// cosign adds a cosignature, made now, to a note that the keys have signed.
func cosign(r request) (answer, error) {
	list, err := verifiers(r.Vkeys)
	if err != nil {
		return nil, err
	}
	n, err := note.Open([]byte(r.Note), note.VerifierList(list...))
	if err != nil {
		return nil, err
	}
	signer, err := torchwood.NewCosignatureSigner(r.Name, ed25519.NewKeyFromSeed(r.Seed))
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(n, signer)
	return answer{"note": string(signed), "vkey": signer.Verifier().String()}, err
}

// store keeps a tree's nodes as golang.org/x/mod/sumdb/tlog numbers them.
type store []tlog.Hash

func (s store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is not stored", x)
		}
		out[i] = s[x]
	}
	return out, nil
}

func storeOf(leaves [][]byte) (store, error) {
	var s store
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(i), leaf, s)
		if err != nil {
			return nil, err
		}
		s = append(s, hashes...)
	}
	return s, nil
}

// tree makes the root of the first size2 leaves, the inclusion proof of one and the consistency proof from size.
func tree(r request) (answer, error) {
	s, err := storeOf(r.Leaves)
	if err != nil {
		return nil, err
	}
	root, err := tlog.TreeHash(r.Size2, s)
	if err != nil {
		return nil, err
	}
	first, err := tlog.TreeHash(r.Size, s)
	if err != nil {
		return nil, err
	}
	inclusion, err := tlog.ProveRecord(r.Size2, r.Index, s)
	if err != nil {
		return nil, err
	}
	consistency, err := tlog.ProveTree(r.Size2, r.Size, s)
	if err != nil {
		return nil, err
	}
	return answer{"root": first[:], "root2": root[:], "inclusion": encode(inclusion), "consistency": encode(consistency)}, nil
}

func encode(hashes []tlog.Hash) [][]byte {
	out := [][]byte{}
	for _, h := range hashes {
		out = append(out, h[:])
	}
	return out
}

func decode(proof [][]byte) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, h := range proof {
		if len(h) != tlog.HashSize {
			return nil, fmt.Errorf("a hash of %d bytes", len(h))
		}
		out = append(out, tlog.Hash(h))
	}
	return out, nil
}

func checkInclusion(r request) (answer, error) {
	proof, err := decode(r.Proof)
	if err != nil {
		return nil, err
	}
	return answer{}, tlog.CheckRecord(proof, r.Size, tlog.Hash(r.Root), r.Index, tlog.RecordHash(r.Leaf))
}

func checkConsistency(r request) (answer, error) {
	proof, err := decode(r.Proof)
	if err != nil {
		return nil, err
	}
	return answer{}, tlog.CheckTree(proof, r.Size2, tlog.Hash(r.Root2), r.Size, tlog.Hash(r.Root))
}

// verifyProof checks a C2SP tlog-proof file.
func verifyProof(r request) (answer, error) {
	p, err := policy(r)
	if err != nil {
		return nil, err
	}
	if err := torchwood.VerifyProof(p, tlog.RecordHash(r.Leaf), []byte(r.Text)); err != nil {
		return nil, err
	}
	extra, _ := torchwood.ProofExtraData([]byte(r.Text))
	return answer{"extra": extra}, nil
}

func formatProof(r request) (answer, error) {
	proof, err := decode(r.Proof)
	if err != nil {
		return nil, err
	}
	if r.Extra == nil {
		return answer{"text": string(torchwood.FormatProof(r.Index, proof, []byte(r.Note)))}, nil
	}
	return answer{"text": string(torchwood.FormatProofWithExtraData(r.Index, r.Extra, proof, []byte(r.Note)))}, nil
}

// tiles makes the tiles that a tree of all leaves has and one of size leaves had not.
func tiles(r request) (answer, error) {
	s, err := storeOf(r.Leaves)
	if err != nil {
		return nil, err
	}
	made := map[string][]byte{}
	for _, t := range tlog.NewTiles(torchwood.TileHeight, r.Size, int64(len(r.Leaves))) {
		data, err := tlog.ReadTileData(t, s)
		if err != nil {
			return nil, err
		}
		made[torchwood.TilePath(t)] = data
	}
	return answer{"tiles": made}, nil
}

type tileMap map[string][]byte

func (m tileMap) Height() int { return torchwood.TileHeight }

func (m tileMap) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		data, ok := m[torchwood.TilePath(t)]
		if !ok {
			return nil, fmt.Errorf("%s is missing", torchwood.TilePath(t))
		}
		out = append(out, data)
	}
	return out, nil
}

func (m tileMap) SaveTiles([]tlog.Tile, [][]byte) {}

// readTiles computes an inclusion proof from tiles, which it authenticates against the root.
func readTiles(r request) (answer, error) {
	t := tlog.Tree{N: r.Size, Hash: tlog.Hash(r.Root)}
	reader := tlog.TileHashReader(t, tileMap(r.Tiles))
	proof, err := tlog.ProveRecord(r.Size, r.Index, reader)
	if err != nil {
		return nil, err
	}
	return answer{"inclusion": encode(proof)}, nil
}

func bundle(r request) (answer, error) {
	var tile []byte
	var err error
	for _, leaf := range r.Leaves {
		if tile, err = torchwood.AppendTileEntry(tile, leaf); err != nil {
			return nil, err
		}
	}
	return answer{"bundle": tile}, nil
}

func readBundle(r request) (answer, error) {
	entries := [][]byte{}
	for rest := r.Bundle; len(rest) > 0; {
		entry, after, err := torchwood.ReadTileEntry(rest)
		if err != nil {
			return nil, err
		}
		entries, rest = append(entries, entry), after
	}
	return answer{"leaves": entries}, nil
}
