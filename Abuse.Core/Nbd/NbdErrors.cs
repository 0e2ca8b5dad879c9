namespace Abuse.Core;

/// <summary>The one table from outcomes to the errors that NBD has.</summary>
internal static class NbdErrors
{
    /// <param name="result">An outcome.</param>
    /// <param name="command">What was asked: a write beyond the end finds no space, anything else is invalid there.</param>
    internal static NbdError Of(BioResult result, NbdCommand command) => result switch
    {
        BioResult.Ok => NbdError.None,
        BioResult.ReadOnly => NbdError.NotPermitted,
        BioResult.NoSpace => NbdError.NoSpace,
        BioResult.OutOfRange => Beyond(command),
        BioResult.NotSupported => NbdError.Invalid,
        BioResult.Offline or BioResult.Canceled => NbdError.Shutdown,
        _ => NbdError.Io,
    };

    /// <summary>What a range that ends beyond the end of the export is answered with.</summary>
    internal static NbdError Beyond(NbdCommand command) =>
        command is NbdCommand.Write or NbdCommand.WriteZeroes ? NbdError.NoSpace : NbdError.Invalid;
}
