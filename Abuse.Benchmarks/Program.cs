using Abuse.Benchmarks;
using BenchmarkDotNet.Running;

if (args is ["pairs"])
{
    await Pairs.RunAsync();
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
