// Which of the host's built-ins may run for long on a small input. They are JavaScript, which no fuel stops: a rule that
// calls one belongs in a thread that can be terminated. The others take time in proportion to what they are given.

/** The reason, and the built-ins that it holds for. Times are those of arguments of 64 KB made for the purpose. */
const HEAVY: readonly (readonly [reason: string, names: readonly string[]])[] = [
  ['each text is compared with each affix: seconds', ['strings.any_prefix_match', 'strings.any_suffix_match']],
  ['the searched text is compared at each place: seconds', ['indexof_n']],
  [
    'a search begins again behind each match, and a short pattern may stand for a large one: seconds',
    ['regex.find_n', 'regex.replace', 'regex.split', 'regex.template_match'],
  ],
  ['each part of one expression is tried with each of the other: seconds', ['regex.globs_match']],
  ['templates may loop within loops', ['strings.render_template']],
  ['a graph has exponentially many paths', ['graph.reachable_paths']],
  ['each member is looked for among all others: a tenth of a second', ['object.subset']],
  ['each operation copies what its path leads through', ['json.patch']],
  ['each name is looked for among those before: a tenth of a second', ['urlquery.decode_object']],
  ['schemas have alternatives, references and patterns', ['json.match_schema', 'json.verify_schema']],
  ['what stands before each line may be as long as the document', ['json.marshal_with_options']],
  ['a few bytes become hundreds of thousands of values', ['net.cidr_expand', 'numbers.range_step']],
  ['each network is compared with each candidate: seconds', ['net.cidr_contains_matches']],
  ['what is no network is covered by up to hundreds of them', ['net.cidr_merge']],
  [
    'the clock of a time zone takes up to two milliseconds a call, twenty for the first',
    ['time.format', 'time.date', 'time.clock', 'time.weekday', 'time.add_date', 'time.diff'],
  ],
  ['the parser needs microseconds a byte, and aliases multiply', ['yaml.unmarshal', 'yaml.is_valid']],
  [
    'a signature takes up to milliseconds, and each key of a set is tried',
    [
      ...['io.jwt.decode_verify', 'io.jwt.encode_sign', 'io.jwt.encode_sign_raw', 'io.jwt.verify_eddsa'],
      ...['io.jwt.verify_rs256', 'io.jwt.verify_rs384', 'io.jwt.verify_rs512'],
      ...['io.jwt.verify_ps256', 'io.jwt.verify_ps384', 'io.jwt.verify_ps512'],
      ...['io.jwt.verify_es256', 'io.jwt.verify_es384', 'io.jwt.verify_es512'],
    ],
  ],
  [
    'a certificate or a key takes up to milliseconds, and chains are searched for',
    [
      ...['crypto.x509.parse_and_verify_certificates', 'crypto.x509.parse_and_verify_certificates_with_options'],
      ...['crypto.x509.parse_certificates', 'crypto.x509.parse_certificate_request', 'crypto.x509.parse_keypair'],
      ...['crypto.x509.parse_rsa_private_key', 'crypto.parse_private_keys'],
    ],
  ],
];

export const HEAVY_BUILTINS: ReadonlySet<string> = new Set(HEAVY.flatMap(([, names]) => names));
