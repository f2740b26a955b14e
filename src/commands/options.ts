/** Where the passwords of ansible-vault come from; names and meanings are Ansible's. */
export interface VaultOptions {
  /** `LABEL@FILE`, `LABEL@prompt`, or without a label. */
  readonly vaultId?: readonly string[];
  readonly vaultPasswordFile?: readonly string[];
  readonly askVaultPass?: boolean;
}

/** What chooses hosts and tasks; names and meanings are Ansible's where Ansible has the option. */
export interface PlaybookOptions extends VaultOptions {
  readonly playbook?: string;
  readonly limit?: string;
  readonly tags?: readonly string[];
  readonly skipTags?: readonly string[];
  readonly extraVars?: readonly string[];
}

/** What every command that works with hosts takes. */
export interface CommonOptions extends PlaybookOptions {
  readonly forks: number;
  readonly format: 'text' | 'json';
  /** File for the report; standard output without. */
  readonly output?: string;
  readonly verbose: boolean;
  readonly user?: string;
  readonly privateKey?: string;
  readonly askPass?: boolean;
  readonly become?: boolean;
  readonly becomeUser?: string;
  readonly askBecomePass?: boolean;
  readonly acceptNew?: boolean;
  /** Seconds to wait for a login. */
  readonly timeout: number;
  /** Seconds that one step on a node may take. */
  readonly commandTimeout: number;
}

/** What every command that changes hosts takes. */
export interface ChangeOptions extends CommonOptions {
  /** Seconds without a word of ours after which a node takes the task in hand back. */
  readonly confirmTimeout: number;
  /** Seconds to wait for another run that changes a node. */
  readonly lockTimeout: number;
}
