namespace Abuse.Core;

/// <summary>Whether a <see cref="FileTarget"/> may write to its file.</summary>
public enum FileTargetAccess
{
    /// <summary>Read and write where the file may be written; otherwise a read-only device.</summary>
    Auto = 0,

    /// <summary>Read and write; opening fails where the file may not be written.</summary>
    ReadWrite = 1,

    /// <summary>A read-only device, whatever the file allows.</summary>
    ReadOnly = 2,
}
