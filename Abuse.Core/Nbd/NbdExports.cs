namespace Abuse.Core;

/// <summary>What a server offers, by name. Immutable.</summary>
internal sealed class NbdExports
{
    private readonly Dictionary<string, NbdExport> _byName = new(StringComparer.Ordinal);
    private readonly Dictionary<AbuseDevice, NbdWriteGate> _gates = [];

    /// <exception cref="ArgumentException">There are none, or two of one name.</exception>
    internal NbdExports(IEnumerable<NbdExport> exports)
    {
        ArgumentNullException.ThrowIfNull(exports);
        All = [.. exports];
        foreach (NbdExport export in All)
        {
            if (export is null || !_byName.TryAdd(export.Name, export))
            {
                throw new ArgumentException(
                    export is null ? "An export is null." : $"Two exports have the name \"{export.Name}\": clients could not tell them apart.", nameof(exports));
            }

            _gates.TryAdd(export.Device, new NbdWriteGate());
        }

        if (All.Count == 0)
        {
            throw new ArgumentException("A server has at least one export.", nameof(exports));
        }
    }

    internal IReadOnlyList<NbdExport> All { get; }

    /// <summary>Who is meant where no name is given: the export of the empty name, or the first.</summary>
    internal NbdExport Default => _byName.GetValueOrDefault("") ?? All[0];

    internal NbdExport? Find(string name) => name.Length == 0 ? Default : _byName.GetValueOrDefault(name);

    /// <summary>The gate of the writes to an export's device, whatever exports it has.</summary>
    internal NbdWriteGate GateOf(NbdExport export) => _gates[export.Device];
}
